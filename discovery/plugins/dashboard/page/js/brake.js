// The banner while the brake holds: many fell silent at once, and are served as suspects until they beat again or time is up.
import { Clock, Until } from "./components/ago.js";
import { html } from "./html.js";
import { stats } from "./stats.js";
import { store, version } from "./store.js";
import { count, shown } from "./text.js";
import { href } from "./url.js";

// Services that are named.
const NAMED = 8;

export function Brake() {
  version.value;
  const { table } = store;
  const suspects = Math.max(table.counts.suspect, stats.value?.instancesByStatus.suspect ?? 0);
  if (!suspects) return null;
  const holds = stats.value?.brakeHolds ?? [];
  const services = table.serviceList().filter((service) => service.counts.suspect);
  const since = holds.map((hold) => hold.since).sort()[0];
  const until = holds.map((hold) => hold.until).sort().at(-1);
  const held = holds.reduce((sum, hold) => sum + hold.suspects, 0);
  const others = suspects - held;
  const where = services.length ? ` of ${count(services.length, "service")}` : "";
  return html`<section class="brake" aria-label="Brake">
    <div role="alert"><h2>${holds.length ? `The brake holds ${count(held, "instance")} of ${count(holds.length, "service")}` : `${count(suspects, "instance")}${where} ${suspects === 1 ? "is" : "are"} suspect`}</h2></div>
    <p>${holds.length ? html`They fell silent together, at <${Clock} at=${since} />.${others > 0 && ` ${count(others, "other")} may beat at a silent node.`}` : "They may beat at a node that this one does not hear."}
      ${" "}They stay in the answers, behind the healthy ones${until && html`, until <${Clock} at=${until} /> (<${Until} at=${until} />)`}.
      ${services.length > 0 && html`<span class="names">${services.slice(0, NAMED).map((service) => html`<a key=${service.key} href=${href({ view: "service", service: service.key })}>${shown(service.name)}</a>`)}
        ${services.length > NAMED && html`<a href=${href({ status: "suspect" })}>and ${services.length - NAMED} more</a>`}</span>`}</p>
    <details><summary>What it means, and what to do</summary>
      <p>That is more often the network between than all of them at once: look there first. Each is healthy again with its next heartbeat. Until then its answers have a TTL of 1 s${until && "; those that stay silent are let go one after the other when the time is over"}.</p>
      <p>If they are really gone: deregister them, and they leave the answers at once.</p></details>
  </section>`;
}
