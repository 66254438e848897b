// An event of the registry as a line: when, what, to whom, why, and who asked for it.
import { html } from "../html.js";
import { STATUSES } from "../table.js";
import { endpoint, shown } from "../text.js";
import { href } from "../url.js";
import { Clock } from "./ago.js";
import { Glyph } from "./glyph.js";

// Kinds that are no status, by what they mean for the answers.
const TONES = {
  registered: "healthy", updated: "changed", deregistered: "ended", expired: "unhealthy", restored: "healthy",
  "maintenance-begins": "maintenance", "maintenance-changed": "maintenance", "maintenance-ends": "healthy",
};

export function Kind({ kind }) {
  const tone = STATUSES.includes(kind) ? kind : (TONES[kind] ?? "changed");
  return html`<span class=${`status ${tone}`}><${Glyph} status=${tone} />${shown(kind.replace(/-/g, " "))}</span>`;
}

/** Whom it is about: an instance's address, or what else it names. */
export function whom({ instance, before, maintenance, drain }) {
  const it = instance ?? before ?? drain ?? (maintenance?.ip ? maintenance : null);
  return it ? endpoint(it.ip, it.port) : maintenance ? "the whole service" : "";
}

export const who = ({ actor }) => (actor ? shown([actor.name, actor.address].filter(Boolean).join(" from ")) : "");

/** Cells of a row; `service` false where all are of one. */
export function eventCells(event, Cell, service = true) {
  const it = event.instance ?? event.before;
  return html`<${Cell} of="time"><${Clock} at=${event.timestamp} /><//>
    <${Cell} of="kind"><${Kind} kind=${event.kind} /><//>
    ${service && html`<${Cell} of="name">${event.service && html`<a href=${href({ view: "service", service: event.service })}>${shown(it?.name ?? event.service)}</a>`}<//>`}
    <${Cell} of="whom">${it ? html`<a class="mono" href=${href({ view: "service", service: event.service, instance: it.id })}>${whom(event)}</a>` : whom(event)}<//>
    <${Cell} of="reason">${shown(event.reason ?? "")}<//>
    <${Cell} of="who">${who(event)}<//>`;
}
