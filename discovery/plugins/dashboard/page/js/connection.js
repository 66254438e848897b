// Whether what is shown is what there is: live, or since when not, and when it is tried again.
import { now } from "./clock.js";
import { html } from "./html.js";
import { restart } from "./live.js";
import { connection } from "./store.js";
import { span } from "./text.js";

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
