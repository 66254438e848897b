// One line about what was just done, at the foot of the page, for a while.
import { html, signal } from "./html.js";

const SECONDS = 12;

const said = signal("");
let timer;

export function say(text) {
  clearTimeout(timer);
  said.value = text;
  timer = setTimeout(() => (said.value = ""), SECONDS * 1000);
}

export function Notice() {
  return html`<div class="notice" role="status">${said.value && html`<p>${said.value}</p>
    <button type="button" aria-label="Close the message" onClick=${() => say("")}>Close</button>`}</div>`;
}
