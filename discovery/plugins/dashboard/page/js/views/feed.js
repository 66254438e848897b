// What happens, as it happens: the last 500 events, the newest first. Before the first one it shows what the history has.
import { Empty, Failed } from "../components/empty.js";
import { Events } from "../components/event.js";
import { Results } from "../components/results.js";
import { html, useState } from "../html.js";
import { eventTest } from "../search.js";
import { store } from "../store.js";
import { number } from "../text.js";
import { useTimeline } from "../timeline.js";
import { change, place } from "../url.js";

const everything = () => true;

export function Feed() {
  const { events, answer, error } = useTimeline("limit=100", everything);
  const [held, setHeld] = useState(null); // what stood there when it was held
  const { q = "" } = place.value;
  const test = eventTest(q);
  const all = held?.events ?? events;
  const found = test ? all.filter(test) : all;
  const missed = held ? store.feed.total - held.total : 0;
  return html`<div class="title"><h1>Feed</h1>
      <button type="button" aria-pressed=${held !== null} onClick=${() => setHeld(held ? null : { events, total: store.feed.total })}>${held ? `Go on${missed ? ` (${number(missed)} new)` : ""}` : "Hold still"}</button></div>
    <${Results} known=${answer || all.length} error=${error} found=${found.length} all=${all.length} noun="event" narrowed=${q} more=", the newest first" />
    <${Failed} error=${error} />
    ${found.length
      ? html`<${Events} events=${found} label="Events" />`
      : answer && html`<${Empty} title=${q ? "No event has that" : "Nothing has happened yet"}>
        ${q ? html`<button type="button" onClick=${() => change({ q: "" })}>Show all events</button>` : html`<p>Registrations, changes of health, drains and maintenance appear here at once. Heartbeats are no events.</p>`}<//>`}`;
}
