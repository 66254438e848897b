// The maintenance calendar: what is out of answers for a time, until when and why; and what was.
import { now } from "../clock.js";
import { BeginDialog, EndDialog } from "../components/acting.js";
import { Until } from "../components/ago.js";
import { Empty, Failed } from "../components/empty.js";
import { Glyph } from "../components/glyph.js";
import { Results } from "../components/results.js";
import { narrow } from "../components/rows.js";
import { html } from "../html.js";
import { pose } from "../question.js";
import { matches } from "../search.js";
import { store, version } from "../store.js";
import { fold, foldedAddress } from "../table.js";
import { clock, endpoint, shown } from "../text.js";
import { useTimeline } from "../timeline.js";
import { change, href, place } from "../url.js";
import { nameOf, placed, spans, tickText, ticks } from "../windows.js";

const HOUR = 3_600_000;
// How much of the past and of what is to come the axis has.
const SCALES = [["6h", "6 hours", 2, 4], ["day", "A day", 8, 16], ["week", "A week", 48, 120], ["month", "A month", 168, 552]];
const QUERY = "kind=maintenance-begins,maintenance-changed,maintenance-ends&limit=200";
const isMaintenance = ({ kind }) => kind.startsWith("maintenance-");

export function Maintenance() {
  version.value;
  const { q = "", scale = "day" } = place.value;
  const { events, answer, error } = useTimeline(QUERY, isMaintenance);
  const [, , back, ahead] = SCALES.find(([id]) => id === scale) ?? SCALES[1];
  const axis = { begin: now.value - back * HOUR, end: now.value + ahead * HOUR };
  const all = spans(store.table.windows.values(), events).filter((span) => matches(q, nameOf(span), span.reason, span.by?.name ?? "", span.by?.address ?? ""));
  const current = all.filter((span) => !span.over);
  const past = all.filter((span) => span.over && span.until > axis.begin);
  return html`<div class="title"><h1>Maintenance</h1><${Begin} /></div>
    <div class="chips" role="group" aria-label="How much time is shown">
      ${SCALES.map(([id, title]) => html`<button key=${id} type="button" class="chip" aria-pressed=${id === scale} onClick=${() => change({ scale: id === "day" ? "" : id })}>${title}</button>`)}
    </div>
    <${Results} known=${store.complete && answer} error=${error} all=${current.length} noun="window" more=${` now, ${past.length} over`} />
    <${Failed} error=${error} />
    ${current.length + past.length
      ? html`<div class="calendar" role="table" aria-label="Maintenance windows"><${Axis} ...${axis} />
          ${current.map((span) => html`<${Row} key=${nameOf(span)} span=${span} axis=${axis} />`)}
          ${past.map((span) => html`<${Row} key=${`${nameOf(span)} ${span.until}`} span=${span} axis=${axis} />`)}</div>`
      : store.complete && html`<${Nothing} q=${q} />`}`;
}

function Axis({ begin, end }) {
  const { step, at } = ticks(begin, end, narrow.value ? 4 : 9);
  return html`<div class="axis" role="row"><span role="columnheader" class="offscreen">What</span>
    <span role="columnheader" class="line" aria-label="When">${at.map((tick) => html`<i key=${tick} style=${{ left: share(tick, begin, end) }}>${hasRoom(tick, begin, end) ? tickText(tick, step) : ""}</i>`)}
      <b class="now" style=${{ left: share(now.value, begin, end) }}>now</b></span></div>`;
}

/** Beside what says "now", and before the right end. */
function hasRoom(tick, begin, end) {
  const room = (end - begin) * (narrow.value ? 0.22 : 0.085);
  return (tick > now.value ? tick - now.value > room / 3 : now.value - tick > room) && end - tick > room;
}

const share = (at, begin, end) => `${(((at - begin) / (end - begin)) * 100).toFixed(3)}%`;
const percent = (part) => `${(part * 100).toFixed(3)}%`;

function Row({ span, axis }) {
  const { begin, end } = axis;
  const { step, at } = ticks(begin, end, narrow.value ? 4 : 9);
  const part = placed(span, begin, end);
  const service = fold(span.service);
  const tone = span.over ? "over" : "maintenance";
  const cut = [span.from === null || span.from < begin ? "from-before" : "", span.until > end ? "goes-on" : ""].join(" ");
  return html`<div class=${`span ${tone}`} role="row">
    <span role="cell" class="what"><a href=${href({ view: "service", service })}>${shown(span.service)}</a>
      <span class="quiet">${span.ip ? html`<code>${endpoint(span.ip, span.port)}</code>` : "the whole service"}</span></span>
    <span role="cell" class="line">${at.map((tick) => html`<i key=${tick} class="grid" style=${{ left: share(tick, begin, end) }}></i>`)}
      ${part && html`<span class=${`bar-of ${tone} ${cut}`} style=${{ left: percent(part.left), width: percent(part.width) }}></span>`}
      <i class="now" style=${{ left: share(now.value, begin, end) }}></i></span>
    <span role="cell" class="said"><span class="reason">${!span.over && html`<${Glyph} status="maintenance" />`}${shown(span.reason)}</span>
      <span class="quiet">${span.over ? html`over since ${clock(span.until, now.value)}` : html`ends <${Until} at=${new Date(span.until).toISOString()} />`}${span.from && `, began ${clock(span.from, now.value)}`}${who(span)}</span></span>
    <span role="cell" class="act">${!span.over && html`<${End} span=${span} />`}</span>
  </div>`;
}

const who = ({ by }) => (by?.name || by?.address ? `, by ${shown(by.name || by.address)}` : "");

function End({ span }) {
  const service = store.table.services.get(fold(span.service)) ?? { key: fold(span.service), name: span.service };
  const instance = span.ip === null ? null : [...(service.instances?.values() ?? [])].find(({ ip, port }) => foldedAddress(ip) === span.ip && port === span.port) ?? null;
  const gone = span.ip !== null && !instance; // a window of an instance outlives it
  const at = gone ? `services/${encodeURIComponent(service.key)}/instances/maintenance?ip=${encodeURIComponent(span.ip)}&port=${span.port ?? ""}` : undefined;
  const about = { service, instance, window: span, name: shown(nameOf(span)), route: at };
  return html`<button type="button" aria-label=${`End the maintenance of ${nameOf(span)}`} onClick=${() => pose(EndDialog, about)}>End it</button>`;
}

/** Of a whole service; one instance is taken out on its service's screen. */
function Begin() {
  version.value;
  const services = store.table.serviceList().filter(({ key }) => !store.table.serviceWindow(key));
  return html`<button type="button" disabled=${!services.length} title=${services.length ? "" : "Nothing is registered that is not in maintenance already"} onClick=${() => pose(BeginDialog, { services })}>Begin maintenance</button>`;
}

function Nothing({ q }) {
  if (q) return html`<${Empty} title="No window has that"><button type="button" onClick=${() => change({ q: "" })}>Show all windows</button><//>`;
  return html`<${Empty} title="Nothing is in maintenance">
    <p>A window takes an instance, or a whole service with those who register later, out of answers until a time. When it is over they come back by themselves. Begin one above, on a service's screen, or in a terminal with <code>discovery maintenance</code>.</p><//>`;
}
