// What a screen says where there is nothing to show: why, and what to do next.
import { html } from "../html.js";

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

/** Of an error of the server: its own words. */
export function Failed({ error }) {
  return error && html`<p class="failed" role="alert">${error.message}</p>`;
}
