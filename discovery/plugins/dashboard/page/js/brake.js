// The banner while the brake holds: many fell silent at once, and are served as suspects until they beat again or time is up.
import { html } from "./html.js";
import { store, version } from "./store.js";
import { count, shown } from "./text.js";
import { href } from "./url.js";

export function Brake() {
  version.value;
  const suspects = store.table.counts.suspect;
  if (!suspects) return null;
  const services = store.table.serviceList().filter((service) => service.counts.suspect);
  return html`<section class="brake" role="alert">
    <h2>The brake holds ${count(suspects, "instance")} of ${count(services.length, "service")}</h2>
    <p>They fell silent at once. That is more often the network than all of them, so they are still in the answers, behind the healthy ones, with a TTL of 1 s.</p>
    <p>${services.slice(0, 8).map((service) => html`<a key=${service.key} href=${href({ view: "service", service: service.key })}>${shown(service.name)}</a> `)}</p>
  </section>`;
}
