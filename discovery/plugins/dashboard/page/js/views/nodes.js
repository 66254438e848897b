// Where the truth is, and who has it: this node, its engine, the other nodes; what is held back; the secondaries and their lag.
import { Ago, Until } from "../components/ago.js";
import { Copy } from "../components/copy.js";
import { Empty } from "../components/empty.js";
import { Facts } from "../components/facts.js";
import { Glyph } from "../components/glyph.js";
import { Cell, Rows } from "../components/rows.js";
import { html } from "../html.js";
import { usePoll } from "../poll.js";
import { matches } from "../search.js";
import { ready, stats } from "../stats.js";
import { fold } from "../table.js";
import { count, number, shown, span } from "../text.js";
import { href, place } from "../url.js";

const NODES = [{ id: "name", title: "Node" }, { id: "state", title: "Heard" }, { id: "version", title: "Version" }, { id: "holds", title: "Held for its silence" }];
const TAKEN = [{ id: "client", title: "Secondary" }, { id: "zone", title: "Zone" }, { id: "behind", title: "Behind" }, { id: "serial", title: "Serial" }, { id: "taken", title: "Taken" }];

export function Nodes() {
  const { q = "" } = place.value;
  const health = usePoll("health", 30_000);
  const all = stats.value;
  const engine = all?.engine ?? null;
  return html`<h1>Nodes</h1>
    ${all && html`<div class="cards">
      <section class="card"><h2>This node</h2><${Facts} facts=${own(all, health.data, ready.value)} /></section>
      <section class="card"><h2>Engine</h2><${Facts} facts=${engine ? ofEtcd(engine) : ofLocal(all)} /></section>
      <section class="card"><h2>What it remembers</h2><${Facts} facts=${kept(all)} /></section>
    </div>
    <${Others} engine=${engine} q=${q} />
    <${Held} holds=${all.brakeHolds ?? []} q=${q} />
    <${Secondaries} transfers=${all.transfers} q=${q} />`}`;
}

const said = (status, word) => html`<span class=${`status ${status}`}><${Glyph} status=${status} />${word}</span>`;
const ago = (seconds) => (seconds === null ? null : `${span(seconds)} ago`);

const own = (all, health, state) => [
  ["state", state && (state.ready ? said("healthy", "ready") : said("failing", "not ready"))],
  ["name", all.engine && html`<code>${shown(all.engine.node)}</code>`],
  ["version", health?.version],
  ["up for", span(all.uptime)],
  ["stood still", all.pausedSeconds ? `${span(all.pausedSeconds)} in all` : null],
  ["DNS at", all.dns?.listening && html`<code>${all.dns.listening.map(({ ip, port }) => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`).join(", ")}</code>`],
  ["zones", all.dns?.domains.map(shown).join(", ")],
  ["connections", `${number(all.http.connections)} HTTP, ${number(all.watchers.now)} following`],
];

const ofLocal = (all) => [
  ["kind", "local: one process decides by itself"],
  ["leases", `${all.heartbeatTimeout} unless an instance asks for more`],
  ["on disk", all.journal ? (all.journal.writable === false ? said("failing", shown(all.journal.reason ?? "refused")) : said("healthy", "written before it is answered")) : "memory alone (DATA_DIR is empty)"],
];

const ofEtcd = (engine) => [
  ["kind", html`etcd at <code>${shown(engine.endpoint)}</code>`],
  ["state", engine.fresh ? said("healthy", "in step") : said("failing", `cut off for ${span(engine.lagSeconds)}`)],
  ["leader", engine.fresh ? html`<code>${shown(engine.leader || "nobody")}</code>${engine.leads ? ", this node" : ""}` : "not known"],
  ["revision", number(engine.revision)],
  ["lag", `${engine.lagSeconds} s`],
  ["decided again", engine.conflicts ? number(engine.conflicts) : null],
  ["read anew", engine.resyncs ? number(engine.resyncs) : null],
  ["unreadable", engine.unreadableKeys ? said("failing", count(engine.unreadableKeys, "key")) : null],
  ["moved to", engine.movedTo?.length ? engine.movedTo.map(shown).join(", ") : null],
];

const kept = ({ journal, history, audit }) => [
  ["journal", journal ? [journal.waiting > 0 && `${number(journal.waiting)} waiting`, journal.reason && shown(journal.reason)].filter(Boolean).join(", ") || "in order" : "none: a restart forgets everything"],
  ["history", history?.since ? html`since <${Ago} at=${history.since} />` : "none (DATA_DIR, HISTORY_DAYS)"],
  ["history says", history?.reason && shown(history.reason)],
  ["audit", audit ? (audit.writable ? `${count(audit.written, "line")}` : said("failing", shown(audit.reason ?? "refused"))) : html`none (<a href=${href({ view: "access" })}>how to</a>)`],
  ["audit lost", audit?.lost ? said("failing", count(audit.lost, "line")) : null],
];

function Others({ engine, q }) {
  if (!engine)
    return html`<section class="part"><h2>Other nodes</h2><${Empty} title="This process is alone">
      <p>Several nodes share what they know through an etcd: every node answers everything, and one may die. Start each with the same setting:</p>
      <${Copy} text="ENGINE_URL=etcd://10.0.0.5:2379 discovery serve" label="the line that starts a node" /><//></section>`;
  const found = engine.nodes.filter(({ node, version }) => matches(q, node, version ?? ""));
  const { heldThroughUnknownNodes: unknown, heldHere: here } = engine;
  return html`<section class="part"><h2>Other nodes <span class="quiet">${number(found.length)}</span></h2>
    ${found.length > 0 ? html`<${Rows} kind="nodes" label="Other nodes" items=${found} keyOf=${({ node }) => node} columns=${NODES} row=${(node) => nodeRow(node, engine)} heights=${[44, 84]} />`
      : html`<p class="quiet">${engine.nodes.length ? "No node has that." : "No other node has been heard yet. While there is none, this one is a single point of failure."}</p>`}
    ${unknown?.instances > 0 && html`<p class="window">${count(unknown.instances, "instance")} of ${some(unknown.services)} may beat at a silent node, which heard them before this one began.</p>`}
    ${found.some(({ holds }) => holds.instances) && html`<p class="quiet">${engine.fresh ? "Held until they are heard elsewhere, or the key of their node in etcd has ended: 30 s after it fell silent." : "This node does not hear etcd: nobody is dropped here until it does."}</p>`}
    ${here?.instances > 0 && html`<p class="window">${count(here.instances, "instance")} of ${some(here.services)} fell silent here, and may beat at a node that this one does not hear.</p>`}</section>`;
}

// The first services of whoever is held.
const some = (services) => services.slice(0, 3).map(shown).join(", ") + (services.length > 3 ? ", …" : "");

function nodeRow(node, engine) {
  return html`<${Cell} of="name"><b class="mono">${shown(node.node)}</b>${node.node === engine.leader && html` <span class="tag">leader</span>`}<//>
    <${Cell} of="state">${node.silent ? said("suspect", `silent for ${span(node.silentForSeconds ?? node.lastHeardSeconds)}`) : said("healthy", ago(node.lastHeardSeconds))}<//>
    <${Cell} of="version">${shown(node.version ?? "")}${node.version && node.version !== engine.version && html` <span class="tag">not ours</span>`}<//>
    <${Cell} of="holds">${node.holds.instances ? `${count(node.holds.instances, "instance")} of ${some(node.holds.services)}` : html`<span class="quiet">nothing</span>`}<//>`;
}

function Held({ holds, q }) {
  const found = holds.filter((each) => matches(q, each.serviceName));
  return found.length > 0 && html`<section class="part"><h2>Held by the brake</h2>
    <ul class="plain">${found.map((each) => html`<li key=${each.serviceName}><a href=${href({ view: "service", service: fold(each.serviceName) })}>${shown(each.serviceName)}</a>: ${count(each.suspects, "suspect")}${" "}
      since <${Ago} at=${each.since} />, let go <${Until} at=${each.until} /> at the latest</li>`)}</ul></section>`;
}

function Secondaries({ transfers, q }) {
  if (!transfers)
    return html`<section class="part"><h2>Secondary name servers</h2><${Empty} title="No zone transfers">
      <p>A name server such as BIND or Knot can take the zones from here and answer in this one's place. Make a key, and say who may ask:</p>
      <${Copy} text="tsig-keygen discovery > keys.conf && TRANSFER_KEYS_FILE=keys.conf TRANSFER_ALLOW=10.0.0.0/8 discovery serve" label="the line that turns transfers on" /><//></section>`;
  const found = transfers.taken.filter(({ client, zone }) => matches(q, client, zone));
  const told = transfers.told.filter(({ secondary }) => matches(q, secondary));
  return html`<section class="part"><h2>Secondary name servers</h2>
    <p class="quiet">${count(transfers.sent, "transfer")} sent${transfers.cutShort ? `, ${number(transfers.cutShort)} cut short` : ""}${transfers.underWay ? `, ${transfers.underWay} under way` : ""}.</p>
    ${told.length > 0 && html`<ul class="plain">${told.map(({ secondary, answers, toldAt }) => html`<li key=${secondary}>${answers === null ? said("draining", "not told yet") : answers ? said("healthy", "answers NOTIFY") : said("failing", "does not answer NOTIFY")} <code>${secondary}</code>${toldAt && html`, told <${Ago} at=${toldAt} />`}</li>`)}</ul>`}
    ${found.length > 0 ? html`<${Rows} kind="taken" label="What secondaries have taken" items=${found} keyOf=${({ client, zone }) => `${client} ${zone}`} columns=${TAKEN} row=${takenRow} heights=${[44, 84]} />`
      : html`<p class="quiet">${transfers.taken.length ? "No secondary has that." : "Nobody has taken a zone from this process yet."}</p>`}</section>`;
}

function takenRow({ client, zone, serial, behind, takenAt }) {
  return html`<${Cell} of="client"><b class="mono">${client}</b><//><${Cell} of="zone">${shown(zone)}<//>
    <${Cell} of="behind">${behind === null ? said("draining", "not served") : behind ? said("suspect", `${count(behind, "change")}`) : said("healthy", "in step")}<//>
    <${Cell} of="serial">${serial}<//><${Cell} of="taken"><${Ago} at=${takenAt} /><//>`;
}
