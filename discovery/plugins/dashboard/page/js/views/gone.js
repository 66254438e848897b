// Who has gone lately and not come back: when, why, and who asked for it.
import { Ago } from "../components/ago.js";
import { Empty, Failed } from "../components/empty.js";
import { Kind } from "../components/event.js";
import { Results } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { html } from "../html.js";
import { usePoll } from "../poll.js";
import { matches } from "../search.js";
import { endpoint, shown } from "../text.js";
import { change, href, place } from "../url.js";

const COLUMNS = [
  { id: "time", title: "Gone" }, { id: "kind", title: "How" }, { id: "name", title: "Service" }, { id: "whom", title: "Instance" },
  { id: "reason", title: "Why" }, { id: "who", title: "Asked for by" },
];
const who = (actor) => (actor ? [actor.name, actor.address].filter(Boolean).join(" from ") : "");

export function Gone() {
  const { data, error } = usePoll("services?gone=1&limit=1", 5000);
  const { q = "" } = place.value;
  const all = data?.gone ?? [];
  const found = all.filter((gone) => matches(q, gone.name, endpoint(gone.ip, gone.port), gone.id, gone.kind, gone.reason ?? "", who(gone.actor)));
  return html`<h1>Recently gone</h1>
    <${Results} known=${data !== null} found=${found.length} all=${all.length} noun="instance" narrowed=${q} />
    <${Failed} error=${error} />
    ${found.length > 0 && html`<${Rows} kind="events" label="Recently gone" items=${found} keyOf=${({ id, index }) => `${index} ${id}`} columns=${COLUMNS} row=${row} heights=${[40, 88]} />`}
    ${data && !found.length && html`<${Empty} title=${q ? "None that has gone has that" : "Nobody has gone lately"}>
      ${q ? html`<button type="button" onClick=${() => change({ q: "" })}>Show all</button>` : html`<p>Here is who deregistered, or was removed after it fell silent, and has not come back: the last 100, as far as this process remembers.</p>`}<//>`}`;
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
