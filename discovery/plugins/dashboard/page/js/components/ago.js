// Times: how long ago, ticking, with the time itself for who points at it.
import { now } from "../clock.js";
import { html } from "../html.js";
import { clock, span } from "../text.js";

/** `at`: epoch milliseconds or ISO 8601. */
export function Ago({ at }) {
  const ms = typeof at === "number" ? at : Date.parse(at);
  return html`<time dateTime=${new Date(ms).toISOString()} title=${new Date(ms).toLocaleString()}>
    ${span((now.value - ms) / 1000)} ago</time>`;
}

/** How long until then. */
export function Until({ at }) {
  const left = (Date.parse(at) - now.value) / 1000;
  return html`<time dateTime=${at} title=${new Date(at).toLocaleString()}>${left > 0 ? `in ${span(left)}` : "now"}</time>`;
}

export function Clock({ at }) {
  const ms = typeof at === "number" ? at : Date.parse(at);
  return html`<time dateTime=${new Date(ms).toISOString()} title=${new Date(ms).toISOString()}>${clock(ms, now.value)}</time>`;
}
