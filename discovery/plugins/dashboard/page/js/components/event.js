// Events of the registry as a list: when, what, to whom, why, and who asked for it.
import { html } from "../html.js";
import { STATES } from "../table.js";
import { endpoint, shown } from "../text.js";
import { href } from "../url.js";
import { Clock } from "./ago.js";
import { Glyph } from "./glyph.js";
import { Cell, Rows } from "./rows.js";

const COLUMNS = [
  { id: "time", title: "Time" }, { id: "kind", title: "What" }, { id: "name", title: "Service" }, { id: "whom", title: "Instance" },
  { id: "reason", title: "Why" }, { id: "who", title: "Asked for by" },
];

// Kinds that are no status, by what they mean for the answers.
const TONES = {
  registered: "healthy", updated: "changed", deregistered: "ended", expired: "unhealthy", restored: "healthy",
  "maintenance-begins": "maintenance", "maintenance-changed": "maintenance", "maintenance-ends": "healthy",
};

function Kind({ kind }) {
  const tone = STATES.includes(kind) ? kind : (TONES[kind] ?? "changed");
  return html`<span class=${`status ${tone}`}><${Glyph} status=${tone} />${shown(kind.replace(/-/g, " "))}</span>`;
}

/** Whom it is about: an instance's address, or what else it names. */
function whom({ instance, before, maintenance, drain }) {
  const it = instance ?? before ?? drain ?? (maintenance?.ip ? maintenance : null);
  return it ? endpoint(it.ip, it.port) : maintenance ? "the whole service" : "";
}

const who = ({ actor }) => (actor ? shown([actor.name, actor.address].filter(Boolean).join(" from ")) : "");

/** Commits have several events: about which instance tells them apart. */
const keyOf = (event) => `${event.index} ${event.kind} ${(event.instance ?? event.before)?.id ?? event.timestamp}`;

/** `service` false where all are of one. */
export function Events({ events, label, service = true }) {
  return html`<${Rows} kind=${service ? "events" : "events own"} label=${label} items=${events} keyOf=${keyOf} columns=${COLUMNS.filter(({ id }) => service || id !== "name")}
    row=${(event) => cells(event, service)} heights=${[40, 88]} />`;
}

function cells(event, service) {
  const it = event.instance ?? event.before;
  return html`<${Cell} of="time"><${Clock} at=${event.timestamp} /><//>
    <${Cell} of="kind"><${Kind} kind=${event.kind} /><//>
    ${service && html`<${Cell} of="name">${event.service && html`<a href=${href({ view: "service", service: event.service })}>${shown(it?.name ?? event.service)}</a>`}<//>`}
    <${Cell} of="whom">${it ? html`<a class="mono" href=${href({ view: "service", service: event.service, instance: it.id })}>${whom(event)}</a>` : whom(event)}<//>
    <${Cell} of="reason">${shown(event.reason ?? "")}<//>
    <${Cell} of="who">${who(event)}<//>`;
}
