// How many are shown: of all, while something narrows them. What is still being read is not counted: it would be taken for few, or none.
import { html } from "../html.js";
import { count, number } from "../text.js";

/** `60 services`, `3 of 60 services`. */
export const counted = (found, all, noun, narrowed) => (narrowed ? `${number(found)} of ${count(all, noun)}` : count(all, noun));

/** `known`: everything is there. `more`: what follows the number. */
export function Results({ known, found, all, noun, narrowed, more = "" }) {
  return html`<p class="results" aria-live="polite">${known ? counted(found, all, noun, narrowed) + more : "Loading …"}</p>`;
}
