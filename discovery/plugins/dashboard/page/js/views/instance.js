// One instance: everything that is known of it, and what can be done.
import { part } from "../api.js";
import { InstanceActions } from "../components/acting.js";
import { Ago, Clock, Until } from "../components/ago.js";
import { Empty } from "../components/empty.js";
import { Facts } from "../components/facts.js";
import { State } from "../components/glyph.js";
import { html } from "../html.js";
import { store } from "../store.js";
import { foldedAddress } from "../table.js";
import { count, endpoint, plain, shown, span } from "../text.js";
import { href } from "../url.js";
import { Timeline } from "./timeline.js";

/** `why`: of GET /resolve?explain=1, once it is here. `service` undefined: nobody of it is left. */
export function Instance({ service, name, id, why }) {
  const instance = service?.instances.get(id);
  return html`<p class="path"><a href="?">Services</a> / <a href=${href({ view: "service", service: name })}>${shown(service?.name ?? name)}</a> /</p>
    ${instance ? html`<${Known} service=${service} instance=${instance} why=${why} />` : html`<h1>${shown(id)}</h1>${store.complete && html`<${Gone} />`}`}
    <${Timeline} query=${`service=${part(name)}&limit=200`} mine=${(event) => event.service === name && isAbout(event, id, instance)} service=${false} />`;
}

/** Its own events, and the maintenance of its whole service. */
function isAbout({ instance, before, maintenance, drain }, id, known) {
  if (maintenance) return maintenance.ip === null || (known && maintenance.ip === foldedAddress(known.ip) && maintenance.port === known.port);
  return (instance ?? before ?? drain)?.id === id;
}

function Known({ service, instance, why }) {
  const fresh = why?.status === instance.status ? why : null;
  return html`<div class="title"><h1 class="mono">${endpoint(instance.ip, instance.port)}</h1><${State} instance=${instance} />
      <${InstanceActions} service=${service} instance=${instance} /></div>
    <p class="why-line">${fresh ? html`${fresh.served ? "In the answers" : "Not in the answers"}: ${shown(fresh.why)}.${fresh.next && html` Next${fresh.until && html` (<${Until} at=${fresh.until} />)`}: ${shown(fresh.next)}.`}` : "\u00a0"}</p>
    <div class="cards">
      <section class="card"><h2>Lease</h2><${Facts} facts=${lease(instance, fresh)} /></section>
      ${all(instance).length > 0 && html`<section class="card"><h2>Checks</h2><${Facts} facts=${checks(instance, why)} /></section>`}
      <section class="card"><h2>Registered with</h2><${Facts} facts=${registered(instance)} /></section>
      <section class="card"><h2>Metadata</h2>${metadata(instance)}</section>
    </div>`;
}

const lease = (instance, why) => [
  ["lease", instance.lease && "none: it stays until somebody deregisters it"],
  ["lapsed", instance.lapsedAt && html`<${Clock} at=${instance.lapsedAt} />`],
  ["last heartbeat", !instance.lease && why?.lastHeartbeat && html`<${Ago} at=${why.lastHeartbeat} />`],
  ["heartbeats", why?.heartbeats && html`every ${+why.heartbeats.everySeconds.toPrecision(2)} s, the next is due <${Until} at=${why.heartbeats.nextDue} />${why.heartbeats.missed > 0 && html`, <b>${count(why.heartbeats.missed, "is", "are")} missing</b>`}`],
  ["refused", why?.refusedHeartbeats && html`<b>${count(why.refusedHeartbeats.count, "heartbeat")}</b> since <${Clock} at=${why.refusedHeartbeats.since} />: ${shown(why.refusedHeartbeats.why)}`],
  ["status since", why?.since && html`<${Clock} at=${why.since} />`],
  ["until", why?.until && html`<${Until} at=${why.until} />`],
  ["asked for by", why?.by && shown(why.by)],
  ["registered", html`<${Clock} at=${instance.registeredAt} />`],
  ["its own ttl", instance.ttl && `${instance.ttl} s`],
  ["known after its lease", instance.keep && `for ${span(instance.keep)}`],
  ["held after its lease", instance.hold && `for ${span(instance.hold)}`],
  ["imported from", instance.importedFrom && shown(instance.importedFrom)],
  ["last check", why?.lastCheck && html`<${Ago} at=${why.lastCheck.at} />: ${why.lastCheck.failure ? shown(why.lastCheck.failure) : "passed"}`],
  ["says of itself", (instance.health ?? instance.output) && shown([instance.health ?? "passing", instance.output].filter(Boolean).join(": "))],
];

const all = (instance) => instance.checks ?? (instance.check ? [instance.check] : []);

/** Each with what it says; one that has never said anything passes. */
function checks(instance, why) {
  const states = why?.checkStates ?? instance.checkStates ?? {};
  return all(instance).map((check) => {
    const kind = ["ttl", "http", "tcp", "grpc"].find((each) => each in check);
    const { health, output, since } = states[check.id ?? kind] ?? { health: "passing" };
    const what = check[kind] === true ? kind : `${kind} ${check[kind]}${kind === "ttl" ? " s" : ""}`;
    const said = html`${health === "passing" ? health : html`<b>${health}</b>`}${since && html` since <${Clock} at=${since} />`}${output && `: ${shown(output)}`}`;
    return [shown(check.name ?? check.id ?? kind), html`${said} <span class="quiet">(${shown(what)}${check.group && `, group ${shown(check.group)}`}${check.criticalAfter && `, deregistered after ${span(check.criticalAfter)}`})</span>`];
  });
}

const registered = (instance) => [
  ["id", html`<span class="mono">${shown(instance.id)}</span>`],
  ["host", html`<a href=${href({ view: "hosts", ip: instance.ip })}>${instance.ip}</a>`],
  ["tags", instance.tags?.length && shown(instance.tags.join(", "))],
  ["zone", instance.zone && shown(instance.zone)],
  ["ports", instance.ports && Object.entries(instance.ports).map(([name, port]) => `${shown(name)} ${port}`).join(", ")],
  ["protocol", instance.protocol],
  ["weight", instance.weight],
  ["weight while it warns", instance.warningWeight],
  ["priority", instance.priority],
  ["most answers", instance.maxAnswers],
];

function metadata(instance) {
  const all = Object.entries(instance.metadata ?? {});
  if (!all.length) return html`<p class="quiet">None.</p>`;
  return html`<${Facts} facts=${all.map(([key, value]) => [shown(key), html`<span class="mono">${plain(value)}</span>`])} />`;
}

function Gone() {
  return html`<${Empty} title="This instance is gone">
    <p>It deregistered, or was removed after it had been silent. Below is what is known of it; a process that registers anew may have another id.</p>
  <//>`;
}
