// The timeline of a service, an instance or a host, as the lower part of its screen.
import { Failed } from "../components/empty.js";
import { eventCells } from "../components/event.js";
import { Cell, Rows } from "../components/rows.js";
import { html } from "../html.js";
import { place } from "../url.js";
import { eventTest } from "../search.js";
import { shown } from "../text.js";
import { useTimeline } from "../timeline.js";

const COLUMNS = [
  { id: "time", title: "Time" }, { id: "kind", title: "What" }, { id: "name", title: "Service" }, { id: "whom", title: "Instance" },
  { id: "reason", title: "Why" }, { id: "who", title: "Asked for by" },
];

export function Timeline({ query, mine, service = true }) {
  const { events, answer, error } = useTimeline(query, mine);
  const test = eventTest(place.value.q ?? "");
  const found = test ? events.filter(test) : events;
  const columns = COLUMNS.filter(({ id }) => service || id !== "name");
  return html`<section class="part"><h2>What happened</h2>
    <${Failed} error=${error} />
    ${found.length > 0 && html`<${Rows} kind=${service ? "events" : "events own"} label="What happened" items=${found} keyOf=${keyOf} columns=${columns}
      row=${(event) => eventCells(event, Cell, service)} heights=${[40, 88]} />`}
    ${answer && !found.length && html`<p class="quiet">${test ? "Nothing that happened has these words." : "Nothing is known to have happened."}</p>`}
    ${answer && !answer.complete && html`<p class="quiet">Older events are missing: ${shown(answer.missing)}.</p>`}
  </section>`;
}

/** Commits have several events: about which instance tells them apart. */
export const keyOf = (event) => `${event.index} ${event.kind} ${(event.instance ?? event.before)?.id ?? event.timestamp}`;
