// The timeline of a service, an instance or a host, as the lower part of its screen.
import { Failed } from "../components/empty.js";
import { Events } from "../components/event.js";
import { html } from "../html.js";
import { place } from "../url.js";
import { eventTest } from "../search.js";
import { shown } from "../text.js";
import { useTimeline } from "../timeline.js";

export function Timeline({ query, mine, service = true }) {
  const { events, answer, error } = useTimeline(query, mine);
  const test = eventTest(place.value.q ?? "");
  const found = test ? events.filter(test) : events;
  return html`<section class="part"><h2>What happened</h2>
    <${Failed} error=${error} />
    ${found.length > 0 && html`<${Events} events=${found} label="What happened" service=${service} />`}
    ${answer && !found.length && html`<p class="quiet">${test ? "Nothing that happened has these words." : "Nothing is known to have happened."}</p>`}
    ${answer && !answer.complete && html`<p class="quiet">Older events are missing: ${shown(answer.missing)}.</p>`}
  </section>`;
}
