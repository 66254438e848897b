// Whether what is shown is what there is: live, or since when not, and when it is tried again.
import { now } from "./clock.js";
import { html } from "./html.js";
import { restart } from "./live.js";
import { connection, store } from "./store.js";
import { clock, span } from "./text.js";

const WORDS = { loading: "Loading", live: "Live", hidden: "Paused", refused: "No access" };

export function ConnectionState() {
  const { state, since, retryAt, message } = connection.value;
  now.value; // a wait ticks
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return html`<div class=${`connection ${state}`}>
    <span role="status" title=${message}><i></i>${state === "away" ? "Server gone" : WORDS[state]}</span>
    ${state === "away" &&
    html`<span class="retry">since ${span((Date.now() - since) / 1000)}, again ${seconds ? `in ${seconds} s` : "now"}</span>
      <button type="button" onClick=${restart}>Try now</button>`}
  </div>`;
}

const PATIENCE = 3000; // milliseconds: a server that restarts is back by then, and the page does not jump

/** Over the screen, once the server has been gone for a while. */
export function Stale() {
  const { state, since } = connection.value;
  now.value;
  if (state !== "away" || !store.complete || Date.now() - since < PATIENCE) return null;
  return html`<p class="stale" role="status">The server has not answered since ${clock(since, Date.now())}. What is shown was true then; the page goes on by itself when it is back.</p>`;
}
