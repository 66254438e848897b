// Who has gone lately and not come back: when, why, and who asked for it.
import { Empty, Failed } from "../components/empty.js";
import { Events } from "../components/event.js";
import { Results } from "../components/results.js";
import { html } from "../html.js";
import { eventTest } from "../search.js";
import { store } from "../store.js";
import { fold } from "../table.js";
import { endpoint } from "../text.js";
import { useTimeline } from "../timeline.js";
import { change, place } from "../url.js";

const KINDS = ["deregistered", "expired"];

export function Gone() {
  const { events, answer, error } = useTimeline(`kind=${KINDS}&limit=100`, ({ kind }) => KINDS.includes(kind));
  const { q = "" } = place.value;
  const all = notBack(events);
  const found = q ? all.filter(eventTest(q) ?? Boolean) : all;
  return html`<h1>Recently gone</h1>
    <${Results} known=${answer} error=${error} found=${found.length} all=${all.length} noun="instance" narrowed=${q} />
    <${Failed} error=${error} />
    ${found.length > 0 && html`<${Events} events=${found} label="Recently gone" />`}
    ${answer && !found.length && html`<${Empty} title=${q ? "None that has gone has that" : "Nobody has gone lately"}>
      ${q ? html`<button type="button" onClick=${() => change({ q: "" })}>Show all</button>` : html`<p>Here is who deregistered, or was removed after it fell silent, and has not come back: of the last 100, as far as the history goes.</p>`}<//>`}`;
}

/** The last time of each, newest first. It may be back at its address or as its id. */
function notBack(events) {
  const key = ({ name, ip, port }) => `${fold(name)} ${endpoint(ip, port)}`;
  const known = new Set([...store.table.byId.values()].map(key));
  return events.filter(({ before }) => {
    if (store.table.byId.has(before.id) || known.has(key(before))) return false;
    known.add(key(before));
    return true;
  });
}
