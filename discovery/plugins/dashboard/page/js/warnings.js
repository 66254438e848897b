// What is not as it should be, over every screen: what the brake holds, and the server's own list of warnings (GET /ready), in its words.
// And who went within the last hour, for the first screen.
import { Clock, Until } from "./components/ago.js";
import { Glyph } from "./components/glyph.js";
import { narrow } from "./components/rows.js";
import { html } from "./html.js";
import { ready, stats } from "./stats.js";
import { store, version } from "./store.js";
import { fold } from "./table.js";
import { count, shown } from "./text.js";
import { href, place } from "./url.js";

// What is named at once of services, less on a phone, and of warnings.
const SERVICES = [8, 3];
const WARNINGS = 3;
// Screens that are about how things are: on others the list would push what was looked for off the screen.
const WHOLE = new Set(["services", "nodes"]);

export const Warnings = () => html`<${Brake} /><${Others} />`;

/** Where there is no room it is one line, and the rest when that is tapped. `open`: where there is. */
function Banner({ label, title, open, children }) {
  return html`<section class="banner" aria-label=${label}><details open=${open && !narrow.value}>
    <summary><h2><span role="alert">${title}</span></h2></summary>${children}</details></section>`;
}

/** The first of `all` services, and how many more there are; `more`: where those are. */
function named(names, all, more) {
  const some = names.slice(0, SERVICES[narrow.value ? 1 : 0]);
  const rest = all - some.length;
  return html`${some.map((name, at) => html`${at > 0 && ", "}<a key=${name} href=${href({ view: "service", service: fold(name) })}>${shown(name)}</a>`)}${rest > 0 && html` and <a href=${href(more)}>${rest} more</a>`}`;
}

function Brake() {
  version.value;
  const { table } = store;
  const suspects = Math.max(table.counts.suspect, stats.value?.instancesByStatus.suspect ?? 0);
  if (!suspects) return null;
  const holds = stats.value?.brakeHolds ?? [];
  const services = table.serviceList().filter((service) => service.counts.suspect);
  const since = holds.map((hold) => hold.since).sort()[0];
  const until = holds.map((hold) => hold.until).sort().at(-1);
  const held = holds.reduce((sum, hold) => sum + hold.suspects, 0);
  const asked = services.flatMap(({ instances }) => [...instances.values()]).filter(({ status, hold }) => status === "suspect" && hold).length;
  const others = Math.max(0, suspects - held - asked);
  const where = services.length ? ` of ${count(services.length, "service")}` : "";
  return html`<${Banner} label="Brake" open title=${holds.length ? `The brake holds ${count(held, "instance")} of ${count(holds.length, "service")}` : `${count(suspects, "instance")}${where} ${suspects === 1 ? "is" : "are"} suspect`}>
    <p>${held > 0 && html`They fell silent together, at <${Clock} at=${since} />. `}${others > 0 && (held + asked ? `${count(others, "other")} may beat at a silent node. ` : "They may beat at a node that this one does not hear. ")}${asked > 0 && `${asked} ${asked === 1 ? "is held after its lease, as its registration asks" : "are held after their leases, as their registrations ask"}.`}
      ${" "}They stay in the answers, behind the healthy ones${until && html`, until <${Clock} at=${until} /> (<${Until} at=${until} />)`}.
      ${services.length > 0 && html` They are of ${named(services.map(({ name }) => name), services.length, { status: "suspect" })}.`}</p>
    <details><summary>What it means, and what to do</summary>
      <p>That is more often the network between than all of them at once: look there first. Each is healthy again with its next heartbeat. Until then its answers have a TTL of 1 s${until && "; those that stay silent are let go one after the other when the time is over"}.</p>
      <p>If they are really gone: deregister them, and they leave the answers at once.</p></details>
  <//>`;
}

/** All but what the brake's own banner tells. */
function Others() {
  const { notReady = {}, warnings = [] } = ready.value ?? {};
  const all = [
    ...Object.entries(notReady).map(([part, why]) => ({ code: part, severity: "critical", count: 1, text: `Not ready: ${part}, ${why}` })),
    ...warnings.filter(({ code }) => code !== "brake_holds"),
  ];
  if (!all.length) return null;
  const totals = new Map(all.map(({ code, severity, count: of }) => [code, { severity, of }]));
  const number = (wanted) => [...totals.values()].reduce((sum, { severity, of }) => sum + (severity === wanted ? of : 0), 0);
  const [critical, rest] = [number("critical"), number("warning")];
  const many = [critical && count(critical, "critical warning"), rest && count(rest, critical ? "other" : "warning")].filter(Boolean).join(", ");
  const what = [...totals.keys()].map((code) => shown(code.replace(/_/g, " "))).join(", ");
  return html`<${Banner} label="Warnings" open=${WHOLE.has(place.value.view)} title=${`${many}: ${what}`}>
    <ul class="plain">${all.slice(0, WARNINGS).map(warned)}</ul>
    ${all.length > WARNINGS && html`<details><summary>And ${all.length - WARNINGS} more</summary><ul class="plain">${all.slice(WARNINGS).map(warned)}</ul></details>`}<//>`;
}

/** What stands between backticks is to be typed. */
const words = (text) => text.split("`").map((part, at) => (at % 2 ? html`<code>${shown(part)}</code>` : shown(part)));

function warned({ code, severity, count: of, text, since, see }) {
  return html`<li key=${`${code} ${text}`}><${Glyph} status=${severity === "critical" ? "failing" : "suspect"} /> <b>${severity === "critical" ? "Critical: " : ""}</b>${text ? words(text) : html`<code>${shown(code)}</code>, ${of} in all: its text takes a token that may read`}${/[.?!]$/.test(text ?? "") ? "" : "."}
    ${since && html` <span class="since">Since <${Clock} at=${since} />.</span>`}${see && html` <span class="since">See <code title=${shown(see)}>${shown(see.split("/").at(-1))}</code></span>`}</li>`;
}

/** Who fell silent or failed the checks within the last hour, and is not back. */
export function GoneLately() {
  const { instances, serviceCount, services, since, until } = stats.value?.goneLastHour.lost ?? {};
  if (!instances) return null;
  return html`<p class="gone-lately"><${Glyph} status="unhealthy" /> <b>${count(instances, "instance")} of ${count(serviceCount, "service")} went</b>
    ${" "}${since === until ? html`at <${Clock} at=${since} />` : html`between <${Clock} at=${since} /> and <${Clock} at=${until} />`} and did not come back:
    ${" "}${named(services, serviceCount, { view: "gone" })}. <a href=${href({ view: "gone" })}>Who, and why</a></p>`;
}
