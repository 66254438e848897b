// The health of a group as one bar: a piece for each state, in the order of STATES, and one for those that have gone within the last hour.
import { html } from "../html.js";
import { STATES } from "../table.js";

export const said = (counts, gone = 0) =>
  [...STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`), ...(gone ? [`${gone} gone`] : [])].join(", ") || "nobody";

export function Bar({ counts, gone = 0 }) {
  return html`<span class="bar" role="img" aria-label=${said(counts, gone)}>
    ${STATES.filter((state) => counts[state]).map(
      (state) => html`<i key=${state} class=${state} style=${{ flexGrow: counts[state] }}></i>`,
    )}
    ${gone > 0 && html`<i class="gone" style=${{ flexGrow: gone }}></i>`}
  </span>`;
}
