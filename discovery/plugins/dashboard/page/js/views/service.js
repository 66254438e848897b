// One service: its instances, why each is in the answers or not, what happened, and how to ask for it in a terminal.
import { BASE, part } from "../api.js";
import { InstanceActions, ServiceActions } from "../components/acting.js";
import { Ago, Until } from "../components/ago.js";
import { Bar } from "../components/bar.js";
import { Copy } from "../components/copy.js";
import { Empty, Failed } from "../components/empty.js";
import { State } from "../components/glyph.js";
import { Results } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { Tags } from "../components/tags.js";
import { html } from "../html.js";
import { usePoll } from "../poll.js";
import { instanceTest } from "../search.js";
import { dns, goneOf } from "../stats.js";
import { store, version } from "../store.js";
import { compared, fold, isLabel, octets, stateOf } from "../table.js";
import { endpoint, number, shown } from "../text.js";
import { header } from "../token.js";
import { href, place } from "../url.js";
import { worseInstance } from "../worst.js";
import { Instance } from "./instance.js";
import { Timeline } from "./timeline.js";

const COLUMNS = [
  { id: "name", title: "Instance", sort: "name" }, { id: "state", title: "Status, and why", sort: "" }, { id: "beat", title: "Last heartbeat" }, { id: "until", title: "Until" },
  { id: "act", title: "Actions" },
];
// Of those that are as bad the first to register comes first, as the server lists them.
const byRegistration = (a, b) => (a.registeredAt < b.registeredAt ? -1 : a.registeredAt > b.registeredAt ? 1 : a.id < b.id ? -1 : 1);
const byWorst = (a, b) => worseInstance(a, b) || byRegistration(a, b);
const byAddress = (a, b) => compared(octets(a.ip), octets(b.ip)) || a.port - b.port;

export function Service() {
  version.value;
  const { service: named = "", instance: id, q = "", status, sort } = place.value;
  const key = fold(named); // an address may have been typed
  const service = store.table.services.get(key);
  const { data, error } = usePoll(service ? `resolve/${part(key)}?explain=1` : null, 2000);
  const whys = new Map((data?.explained ?? []).map((each) => [each.id, each]));
  if (id) return html`<${Instance} service=${service} name=${key} id=${id} why=${whys.get(id)} />`;
  const test = instanceTest(q);
  const all = service ? [...service.instances.values()].sort(sort === "name" ? byAddress : byWorst) : [];
  const found = all.filter((instance) => (!test || test(instance)) && (!status || status.split(",").includes(stateOf(instance))));
  const row = (instance) => instanceCells(service, instance, whys.get(instance.id));
  return html`<${Head} service=${service} name=${key} />
    ${service
      ? html`<${Results} known=${store.complete} found=${found.length} all=${all.length} noun="instance" narrowed=${test || status} />
        <${Failed} error=${error?.status === 404 ? null : error} />
        <${Rows} kind="instances" label="Instances" items=${found} keyOf=${({ id }) => id} columns=${COLUMNS} row=${row} heights=${[68, 116]} />`
      : store.complete && html`<${Absent} name=${key} />`}
    ${key && html`<${Commands} name=${service?.name ?? key} /><${Timeline} query=${`service=${part(key)}&limit=100`} mine=${(event) => event.service === key} service=${false} />`}`;
}

function Head({ service, name }) {
  const window = service && store.table.serviceWindow(service.key);
  const gone = service ? goneOf(service.key) : 0;
  return html`<p class="path"><a href="?">Services</a> /</p>
    <div class="title"><h1>${shown(service?.name ?? name)}</h1>
      ${service && html`<span class="glance"><${Bar} counts=${service.counts} gone=${gone} /><span>${number(service.healthy)} of ${number(service.living)} healthy${gone > 0 && html`, <a href=${href({ view: "gone" })}>${number(gone)} gone within the last hour</a>`}</span></span><${ServiceActions} service=${service} />`}</div>
    ${window && html`<p class="window">In maintenance, ends <${Until} at=${window.until} />: ${shown(window.reason)}</p>`}`;
}

function instanceCells(service, instance, why) {
  return html`<${Cell} of="name"><a class="mono" href=${href({ view: "service", service: service.key, instance: instance.id })}>${endpoint(instance.ip, instance.port)}</a><${Tags} instance=${instance} /><//>
    <${Cell} of="state"><${State} instance=${instance} /><span class="why">${why && why.status === instance.status ? shown(why.why) : "\u00a0"}</span><//>
    <${Cell} of="beat">${!instance.lease && why?.lastHeartbeat && html`<${Ago} at=${why.lastHeartbeat} />`}<//>
    <${Cell} of="until">${why?.until && html`<${Until} at=${why.until} />`}<//>
    <${Cell} of="act"><${InstanceActions} service=${service} instance=${instance} /><//>`;
}

function Absent({ name }) {
  return html`<${Empty} title=${`Nobody is registered as ${shown(name)}`}>
    <p>DNS says NXDOMAIN for it, and GET /resolve is a 404. It appears here as soon as somebody registers it; below is what happened to it before.</p>
    <p><a href=${href({ view: "gone" })}>What has gone lately</a></p>
  <//>`;
}

/** As they are typed where this page is open: the server's own addresses, ports and zone. */
function Commands({ name }) {
  const { host, port, domains } = dns();
  const bearer = header();
  const url = new URL(`resolve/${part(name).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)}`, BASE); // no sign that a shell reads
  const lines = [
    ...(isLabel(name) ? [
      ["its addresses, as DNS clients get them", `dig @${host} -p ${port} ${name}.${domains[0]}`],
      ["addresses and ports", `dig @${host} -p ${port} ${name}.${domains[0]} SRV`],
    ] : []),
    ["the same over HTTP", `curl -s${bearer} ${url}`],
    ["why each is in the answers or not", `curl -s${bearer} '${url}?explain=1'`],
  ];
  return html`<section class="part"><h2>In a terminal</h2>
    <div class="commands">${lines.map(([what, line]) => html`<div key=${what}><h3>${what}</h3><${Copy} text=${line} label=${`the line for ${what}`} /></div>`)}</div></section>`;
}
