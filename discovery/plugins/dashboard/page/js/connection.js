// Whether what is shown is what there is: live, or since when not, and when it is tried again.
import { now } from "./clock.js";
import { html } from "./html.js";
import { restart } from "./live.js";
import { connection, store } from "./store.js";
import { clock, shown, span } from "./text.js";

const WORDS = { loading: "Loading", live: "Live", hidden: "Paused", refused: "No access", away: "Server gone", busy: "Server is busy" };
const waits = ({ state }) => state === "away" || state === "busy";

export function ConnectionState() {
  const { state, status, since, retryAt, message } = connection.value;
  now.value; // a wait ticks
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return html`<div class=${`connection ${state}`}>
    <span role="status" title=${message}><i></i>${status === 429 ? "Too many requests" : WORDS[state]}</span>
    ${waits(connection.value) &&
    html`<span class="retry">since ${span((Date.now() - since) / 1000)}, again ${seconds ? `in ${seconds} s` : "now"}</span>
      <button type="button" onClick=${restart}>Try now</button>`}
  </div>`;
}

const PATIENCE = 3000; // milliseconds: a server that restarts is back by then, and the page does not jump

/** Over the screen, once the server has been gone or busy for a while: a busy one says itself what is wrong. */
export function Stale() {
  const { state, since, message } = connection.value;
  now.value;
  if (!waits(connection.value) || (state === "away" && !store.complete) || Date.now() - since < PATIENCE) return null;
  const at = clock(since, Date.now());
  return html`<p class="stale" role="status">${state === "busy" ? `The server refuses this page since ${at}: ${shown(message)}.` : `The server has not answered since ${at}.`}${" "}
    ${store.complete && "What is shown was true then; the page goes on by itself when it can."}</p>`;
}
