// The health of a group as one bar: a piece for each status, in the order of STATUSES.
import { html } from "../html.js";
import { STATUSES } from "../table.js";

export const said = (counts) =>
  STATUSES.filter((status) => counts[status]).map((status) => `${counts[status]} ${status}`).join(", ") || "nobody";

export function Bar({ counts }) {
  return html`<span class="bar" role="img" aria-label=${said(counts)}>
    ${STATUSES.filter((status) => counts[status]).map(
      (status) => html`<i key=${status} class=${status} style=${{ flexGrow: counts[status] }}></i>`,
    )}
  </span>`;
}
