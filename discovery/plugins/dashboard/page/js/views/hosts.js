// Hosts by their address, with all that runs there; and one of them.
import { part } from "../api.js";
import { Bar } from "../components/bar.js";
import { Empty } from "../components/empty.js";
import { State } from "../components/glyph.js";
import { Results } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { Tags } from "../components/tags.js";
import { html } from "../html.js";
import { groupsWith, instanceTest } from "../search.js";
import { store, version } from "../store.js";
import { fold, foldedAddress } from "../table.js";
import { endpoint, number, shown } from "../text.js";
import { change, href, place } from "../url.js";
import { worseGroup } from "../worst.js";
import { Timeline } from "./timeline.js";

const COLUMNS = [
  { id: "name", title: "Host", sort: "name" }, { id: "health", title: "Health", sort: "" }, { id: "healthy", title: "Healthy" }, { id: "runs", title: "What runs there" },
];
const OF_HOST = [{ id: "name", title: "Instance" }, { id: "service", title: "Service" }, { id: "state", title: "Status" }, { id: "has", title: "Tags, metadata" }];
// Services that a row names.
const NAMED = 8;

export function Hosts() {
  version.value;
  const { q = "", ip, sort } = place.value;
  if (ip) return html`<${Host} ip=${ip} q=${q} />`;
  const all = store.table.hostList();
  const found = groupsWith(all, q, new Set());
  const hosts = sort === "name" ? found : found.toSorted(worseGroup());
  return html`<h1>Hosts</h1>
    <${Results} known=${store.complete} found=${hosts.length} all=${all.length} noun="host" narrowed=${q} />
    ${hosts.length > 0 && html`<${Rows} kind="hosts" label="Hosts" items=${hosts} keyOf=${({ key }) => key} columns=${COLUMNS} row=${row} />`}
    ${!hosts.length && store.complete && html`<${Empty} title=${all.length ? "No host has that" : "Nothing is registered yet"}>
      ${all.length ? html`<button type="button" onClick=${() => change({ q: "" })}>Show all hosts</button>` : html`<p>A host is here when an instance is registered at its address: <a href="?">Services</a> says how.</p>`}<//>`}`;
}

function row(host) {
  const names = [...new Set([...host.instances.values()].map(({ name }) => name))].sort();
  return html`<${Cell} of="name"><a class="mono" href=${href({ view: "hosts", ip: host.key })}>${host.key}</a><//>
    <${Cell} of="health"><${Bar} counts=${host.counts} /><//>
    <${Cell} of="healthy">${host.healthy} of ${host.living}<//>
    <${Cell} of="runs">${names.slice(0, NAMED).map((name) => html`<a key=${name} href=${href({ view: "service", service: fold(name) })}>${shown(name)}</a> `)}
      ${names.length > NAMED && html`<span class="quiet">+${names.length - NAMED}</span>`}<//>`;
}

function Host({ ip, q }) {
  version.value; // its properties stay the same while the table fills
  const host = store.table.hosts.get(foldedAddress(ip));
  const test = instanceTest(q);
  const all = host ? [...host.instances.values()].sort((a, b) => a.port - b.port || (a.id < b.id ? -1 : 1)) : [];
  const found = test ? all.filter(test) : all;
  return html`<p class="path"><a href=${href({ view: "hosts" })}>Hosts</a> /</p>
    <div class="title"><h1 class="mono">${shown(ip)}</h1>
      ${host && html`<span class="glance"><${Bar} counts=${host.counts} /><span>${number(host.healthy)} of ${number(host.living)} healthy</span></span>`}</div>
    ${host && html`<${Rows} kind="of-host" label="Instances of this host" items=${found} keyOf=${({ id }) => id} columns=${OF_HOST} row=${instanceRow} heights=${[44, 84]} />`}
    ${!host && store.complete && html`<${Empty} title="Nothing is registered at this address"><p>Below is what happened there before.</p><//>`}
    <${Timeline} query=${`ip=${part(ip)}&limit=100`} mine=${(event) => foldedAddress((event.instance ?? event.before)?.ip ?? "") === foldedAddress(ip)} />`;
}

function instanceRow(instance) {
  const service = fold(instance.name);
  return html`<${Cell} of="name"><a class="mono" href=${href({ view: "service", service, instance: instance.id })}>${endpoint(instance.ip, instance.port)}</a><//>
    <${Cell} of="service"><a href=${href({ view: "service", service })}>${shown(instance.name)}</a><//>
    <${Cell} of="state"><${State} instance=${instance} /><//>
    <${Cell} of="has"><${Tags} instance=${instance} /><//>`;
}
