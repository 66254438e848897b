// The health of a group as one bar: a piece for each state, in the order of STATES.
import { html } from "../html.js";
import { STATES } from "../table.js";

export const said = (counts) =>
  STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`).join(", ") || "nobody";

export function Bar({ counts }) {
  return html`<span class="bar" role="img" aria-label=${said(counts)}>
    ${STATES.filter((state) => counts[state]).map(
      (state) => html`<i key=${state} class=${state} style=${{ flexGrow: counts[state] }}></i>`,
    )}
  </span>`;
}
