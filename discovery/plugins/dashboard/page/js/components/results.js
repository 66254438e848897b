// How many are shown: of all, while something narrows them. What is still being read, or cannot be, is not counted: it would be taken for few,
// or none.
import { html } from "../html.js";
import { connection } from "../store.js";
import { count, number } from "../text.js";

/** `60 services`, `3 of 60 services`. */
export const counted = (found, all, noun, narrowed) => (narrowed ? `${number(found)} of ${count(all, noun)}` : count(all, noun));

/** `known`: everything is there. `error`: why it is not. `more`: what follows the number. */
export function Results({ known, error, found, all, noun, narrowed, more = "" }) {
  const comes = !error && ["loading", "live"].includes(connection.value.state);
  return html`<p class="results" aria-live="polite">${known ? counted(found, all, noun, narrowed) + more : comes ? "Loading …" : ""}</p>`;
}
