// All services: how each one is, at a glance. What is typed and chosen stands in the address.
import { Ago } from "../components/ago.js";
import { Bar, said } from "../components/bar.js";
import { Copy } from "../components/copy.js";
import { Empty } from "../components/empty.js";
import { Glyph } from "../components/glyph.js";
import { Results } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { html } from "../html.js";
import { serverNow } from "../clock.js";
import { joined, listed } from "../place.js";
import { countsOf, groupsWith } from "../search.js";
import { goneOf } from "../stats.js";
import { connection, store, version } from "../store.js";
import { STATES } from "../table.js";
import { number, shown } from "../text.js";
import { BASE } from "../api.js";
import { header, wanted } from "../token.js";
import { change, href, place } from "../url.js";
import { GoneLately } from "../warnings.js";
import { worseGroup } from "../worst.js";

const COLUMNS = [
  { id: "name", title: "Service", sort: "name" },
  { id: "health", title: "Health", sort: "" },
  { id: "healthy", title: "Healthy" },
  { id: "rest", title: "Not all well" },
  { id: "changed", title: "Changed", sort: "changed" },
];
const NEWS = 5000; // milliseconds for which a change is one that is seen to happen
const byChange = (a, b) => b.touched - a.touched;

export function Services() {
  version.value;
  const { table } = store;
  const { q = "", status, sort } = place.value;
  const statuses = listed(status);
  const found = groupsWith(table.serviceList(), q, statuses);
  const services = sort === "name" ? found : found.toSorted(sort === "changed" ? byChange : worseGroup(goneOf));
  return html`<h1>Services</h1>
    <${GoneLately} />
    <${Chips} counts=${countsOf(table, q)} chosen=${statuses} />
    <${Results} known=${store.complete} found=${services.length} all=${table.services.size} noun="service" narrowed=${q || statuses.size} />
    ${services.length
      ? html`<${Rows} kind="services" label="Services" items=${services} keyOf=${(service) => service.key} columns=${COLUMNS} row=${row} />`
      : html`<${Nobody} table=${table} q=${q} />`}`;
}

/** The states with the number of instances that the search finds; each narrows the list to those who have one. */
function Chips({ counts, chosen }) {
  const toggle = (status) => {
    const next = new Set(chosen);
    next.delete(status) || next.add(status);
    change({ status: joined(next) });
  };
  return html`<div class="chips" role="group" aria-label="Only those that have instances which are">
    ${STATES.map(
      (status) => html`<button key=${status} type="button" class="chip" aria-pressed=${chosen.has(status)} onClick=${() => toggle(status)}
        data-none=${counts[status] || !store.complete ? undefined : ""}><${Glyph} status=${status} />${status}<b>${store.complete ? number(counts[status] ?? 0) : "…"}</b></button>`,
    )}
  </div>`;
}

function row(service) {
  const { counts } = service;
  const gone = goneOf(service.key);
  const out = STATES.filter((status) => status !== "healthy" && counts[status]);
  return html`<${Cell} of="name"><a href=${href({ view: "service", service: service.key })}>${shown(service.name)}</a><//>
    <${Cell} of="health"><${Bar} counts=${counts} gone=${gone} /><//>
    <${Cell} of="healthy">${service.healthy} of ${service.living}<//>
    <${Cell} of="rest" title=${said(counts, gone)}>${out.map((status) => html`<span key=${status} class=${`status ${status}`}><${Glyph} status=${status} />${counts[status]} ${status}</span>`)}
      ${gone > 0 && html`<span class="status unhealthy"><${Glyph} status="unhealthy" />${gone} gone</span>`}<//>
    <${Cell} of="changed">${service.touched > 0
      ? html`<span key=${service.touched} class=${serverNow() - service.touched < NEWS ? "flash" : ""}><${Ago} at=${service.touched} /></span>`
      : html`<span title="before the server's memory and history begin">–</span>`}<//>`;
}

function Nobody({ table, q }) {
  const { state, message } = connection.value;
  if (state === "refused") return html`<${Empty} title="No access"><p>${message}</p>
    <button type="button" class="primary" onClick=${() => (wanted.value = message)}>Type a token</button><//>`;
  if (!store.complete && !table.services.size) return html`<div class="waiting" aria-hidden="true">${[1, 2, 3, 4, 5].map((key) => html`<i key=${key}></i>`)}</div>`;
  if (table.services.size)
    return html`<${Empty} title=${q ? `Nothing here has “${shown(q)}”` : "No service has such instances"}>
      <p>The search looks into names, addresses, tags, metadata and statuses; every word has to be found.</p>
      <p><button type="button" onClick=${() => change({ q: "", status: "" })}>Show everything</button></p>
    <//>`;
  const line = `curl -s${header()} ${new URL("register", BASE)} -H 'Content-Type: application/json' -d '{"name":"user-service","ip":"127.0.0.1","port":3001,"ttl":600}'`;
  return html`<${Empty} title="No service is registered yet">
    <p>Register one, and it appears here at once:</p>
    <${Copy} text=${line} label="the curl line that registers a service" />
  <//>`;
}
