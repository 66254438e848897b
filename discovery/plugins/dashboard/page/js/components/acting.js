// What can be done to an instance or a service: the buttons, and the question before each with what clients will see.
import { ask, part } from "../api.js";
import { ofDeregistration, ofDrain, ofEndMaintenance, ofMaintenance, ofUndrain } from "../consequences.js";
import { html, useState } from "../html.js";
import { say } from "../notice.js";
import { pose } from "../question.js";
import { dns } from "../stats.js";
import { store, version } from "../store.js";
import { clock, endpoint, shown } from "../text.js";
import { serverNow } from "../clock.js";
import { Dialog } from "./dialog.js";

// Seconds, 30 days at the most, as the server has it.
const SPANS = [[900, "15 minutes"], [3600, "1 hour"], [14_400, "4 hours"], [86_400, "1 day"], [604_800, "7 days"], [2_592_000, "30 days"]];

const UNTIL = "until";

/** Of an instance. */
export function InstanceActions({ service, instance }) {
  const window = store.table.windowOf(instance);
  const name = endpoint(instance.ip, instance.port);
  const about = { service, instance, window, name, at: `instances/${part(instance.id)}` };
  return html`<div class="actions">
    <button type="button" aria-label=${`${instance.draining ? "Undrain" : "Drain"} ${name}`} onClick=${() => pose(DrainDialog, about)}>${instance.draining ? "Undrain" : "Drain"}</button>
    <${MaintenanceButton} ...${about} label=${`${window ? "End maintenance" : "Maintenance"} of ${name}`} />
    <button type="button" class="dangerous" aria-label=${`Deregister ${name}`} onClick=${() => pose(DeregisterDialog, about)}>Deregister</button>
  </div>`;
}

/** Of a whole service. */
export function ServiceActions({ service }) {
  const window = store.table.serviceWindow(service.key);
  const about = { service, instance: null, window, name: shown(service.name), at: `services/${part(service.key)}` };
  return html`<div class="actions">
    <${MaintenanceButton} ...${about} />
    <button type="button" class="dangerous" onClick=${() => pose(DeregisterDialog, about)}>Deregister all</button>
  </div>`;
}

function MaintenanceButton({ label, ...about }) {
  return html`<button type="button" aria-label=${label} onClick=${() => pose(about.window ? EndDialog : MaintenanceDialog, about)}>
    ${about.window ? "End maintenance" : "Maintenance"}</button>`;
}

function Consequences({ of }) {
  return html`<ul class=${of.empties ? "consequences empties" : "consequences"}>${of.lines.map((line) => html`<li key=${line}>${shown(line)}</li>`)}</ul>`;
}

function DrainDialog({ service, instance, window, name, at, close }) {
  version.value; // who stays in the answers may change while it is read
  const { draining } = instance;
  const act = async () => {
    const done = await ask(draining ? "DELETE" : "PUT", `${at}/drain`);
    say(draining ? `${name} drains no longer.` : `${name} is draining. After ${clock(Date.parse(done.safeAfter), serverNow())} no DNS cache holds it any more.`);
  };
  const of = draining ? ofUndrain(instance, window) : ofDrain(service, instance, dns());
  const verb = draining ? "Undrain" : "Drain";
  return html`<${Dialog} title=${`${verb} ${name} of ${shown(service.name)}?`} verb=${verb} danger=${of.empties} act=${act} close=${close}>
    <${Consequences} of=${of} /><//>`;
}

function MaintenanceDialog({ service, instance, name, at, close, choice }) {
  version.value;
  const [length, setLength] = useState("3600");
  const act = async (fields) => {
    const body = { reason: fields.get("reason").trim() };
    if (fields.get("for") === UNTIL) body.until = new Date(fields.get("until")).toISOString();
    else body.seconds = Number(fields.get("for"));
    const { until } = await ask("PUT", `${at}/maintenance`, { body });
    say(`${name} is in maintenance until ${clock(Date.parse(until), serverNow())}.`);
  };
  const of = ofMaintenance(service, instance, dns());
  return html`<${Dialog} title=${`Take ${instance ? `${name} of ${shown(service.name)}` : `all of ${name}`} into maintenance?`} verb="Begin" danger=${of.empties} act=${act} close=${close}>
    ${choice}
    <${Consequences} of=${of} />
    <label>Reason<input name="reason" required maxlength="256" autocomplete="off" placeholder="new disks in rack 4" /></label>
    <label>For<select name="for" value=${length} onChange=${(event) => setLength(event.target.value)}>
      ${SPANS.map(([seconds, text]) => html`<option key=${seconds} value=${seconds}>${text}</option>`)}
      <option value=${UNTIL}>until a time …</option></select></label>
    ${length === UNTIL && html`<label>Until (your time)<input name="until" type="datetime-local" required /></label>`}
  <//>`;
}

/** Of a whole service, which is chosen first. */
export function BeginDialog({ services, close }) {
  const [key, setKey] = useState(services[0].key);
  const service = services.find((each) => each.key === key) ?? services[0];
  const choice = html`<label>Service<select name="service" value=${service.key} onChange=${(event) => setKey(event.target.value)}>
    ${services.map((each) => html`<option key=${each.key} value=${each.key}>${shown(each.name)}</option>`)}</select></label>`;
  return html`<${MaintenanceDialog} service=${service} instance=${null} name=${shown(service.name)} at=${`services/${part(service.key)}`} close=${close} choice=${choice} />`;
}

/** `route`: where the window is ended, if not at what it is of. */
export function EndDialog({ service, instance, window, name, route, close }) {
  const ofService = window.ip === null;
  const at = route ?? `${ofService || !instance ? `services/${part(service.key)}` : `instances/${part(instance.id)}`}/maintenance`;
  const act = async () => {
    await ask("DELETE", at);
    say(`The maintenance of ${ofService ? shown(service.name) : name} has ended.`);
  };
  return html`<${Dialog} title=${`End the maintenance of ${ofService ? `all of ${shown(service.name)}` : name}?`} verb="End it" act=${act} close=${close}>
    <p>It was asked for with the reason “${shown(window.reason)}”.</p>
    <${Consequences} of=${ofEndMaintenance(instance, ofService)} /><//>`;
}

function DeregisterDialog({ service, instance, name, at, close }) {
  version.value;
  const act = async () => {
    await ask("DELETE", at);
    say(instance ? `${name} is deregistered.` : `All of ${name} is deregistered.`);
  };
  const of = ofDeregistration(service, instance, dns());
  return html`<${Dialog} title=${`Deregister ${instance ? `${name} of ${shown(service.name)}` : `all ${service.instances.size} of ${name}`}?`} verb="Deregister" danger act=${act} close=${close}>
    <${Consequences} of=${of} /><//>`;
}
