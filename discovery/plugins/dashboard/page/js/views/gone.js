// Who has gone lately and not come back: when, why, and who asked for it.
import { Ago } from "../components/ago.js";
import { Empty, Failed } from "../components/empty.js";
import { Kind } from "../components/event.js";
import { Results } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { html } from "../html.js";
import { matches } from "../search.js";
import { store } from "../store.js";
import { endpoint, shown } from "../text.js";
import { useTimeline } from "../timeline.js";
import { change, href, place } from "../url.js";

const COLUMNS = [
  { id: "time", title: "Gone" }, { id: "kind", title: "How" }, { id: "name", title: "Service" }, { id: "whom", title: "Instance" },
  { id: "reason", title: "Why" }, { id: "who", title: "Asked for by" },
];
const who = (actor) => (actor ? [actor.name, actor.address].filter(Boolean).join(" from ") : "");

export function Gone() {
  const { events, answer, error } = useTimeline("kind=deregistered,expired&limit=100", ({ kind }) => kind === "deregistered" || kind === "expired");
  const { q = "" } = place.value;
  const all = notBack(events);
  const found = all.filter((gone) => matches(q, gone.name, endpoint(gone.ip, gone.port), gone.id, gone.kind, gone.reason ?? "", who(gone.actor)));
  return html`<h1>Recently gone</h1>
    <${Results} known=${answer || error} found=${found.length} all=${all.length} noun="instance" narrowed=${q} />
    <${Failed} error=${error} />
    ${found.length > 0 && html`<${Rows} kind="events" label="Recently gone" items=${found} keyOf=${({ id, index }) => `${index} ${id}`} columns=${COLUMNS} row=${row} heights=${[40, 88]} />`}
    ${answer && !found.length && html`<${Empty} title=${q ? "None that has gone has that" : "Nobody has gone lately"}>
      ${q ? html`<button type="button" onClick=${() => change({ q: "" })}>Show all</button>` : html`<p>Here is who deregistered, or was removed after it fell silent, and has not come back: of the last 100, as far as the history goes.</p>`}<//>`}`;
}

/** The last time of each, newest first. It may be back at its address or as its id. */
function notBack(events) {
  const seen = new Set();
  return events.flatMap(({ before, kind, reason, actor, index, timestamp }) => {
    const { id, name, ip, port } = before, key = `${name.toLowerCase()} ${endpoint(ip, port)}`;
    const there = store.table.services.get(name.toLowerCase())?.instances.values() ?? [];
    if (seen.has(key) || store.table.byId.has(id) || [...there].some((each) => each.ip === ip && each.port === port)) return [];
    seen.add(key);
    return [{ id, name, ip, port, kind, reason, actor, index, timestamp }];
  });
}

function row(gone) {
  const service = gone.name.toLowerCase();
  return html`<${Cell} of="time"><${Ago} at=${gone.timestamp} /><//>
    <${Cell} of="kind"><${Kind} kind=${gone.kind} /><//>
    <${Cell} of="name"><a href=${href({ view: "service", service })}>${shown(gone.name)}</a><//>
    <${Cell} of="whom"><a class="mono" href=${href({ view: "service", service, instance: gone.id })}>${endpoint(gone.ip, gone.port)}</a><//>
    <${Cell} of="reason">${shown(gone.reason ?? "")}<//>
    <${Cell} of="who">${shown(who(gone.actor))}<//>`;
}
