// How much is asked, how fast it is answered, and what changes: the last minute by seconds, the last hour by minutes.
import { Chart } from "../components/chart.js";
import { Empty, Failed } from "../components/empty.js";
import { html } from "../html.js";
import { usePoll } from "../poll.js";
import { last, latency, most, rate, share, times, total } from "../rates.js";
import { matches } from "../search.js";
import { change, place } from "../url.js";

// Each card: its title, what the number in it is, its lines (title, name in the answer, colour, dashes) and how a value is said.
const CARDS = [
  { title: "DNS queries", unit: "a second", say: rate, lines: [["queries", "dnsQueriesPerSecond", "accent"]] },
  { title: "HTTP requests", unit: "a second", say: rate, lines: [["requests", "httpRequestsPerSecond", "accent"], ["heartbeats", "heartbeatsPerSecond", "maintenance", [6, 4]]] },
  { title: "DNS latency", unit: "", say: latency, lines: [["half are faster", "dnsP50Ms", "accent"], ["99 of 100 are faster", "dnsP99Ms", "suspect", [6, 4]]] },
  { title: "HTTP latency", unit: "", say: latency, lines: [["half are faster", "httpP50Ms", "accent"], ["99 of 100 are faster", "httpP99Ms", "suspect", [6, 4]]] },
  { title: "Names that nobody has", unit: "of the queries", say: share, lines: [["NXDOMAIN", "nxdomainShare", "failing"]] },
  { title: "Leases that ran out", unit: "", say: rate, sum: true, lines: [["expiries", "expiries", "unhealthy"]] },
  { title: "Changes", unit: "", say: rate, sum: true, lines: [["events", "changes", "draining"]] },
  { title: "Instances", unit: "", say: rate, lines: [["instances", "instances", "healthy"]] },
];

export function Load() {
  const { q = "", by = "seconds" } = place.value;
  const { data, error } = usePoll("stats/history", by === "minutes" ? 10_000 : 1000);
  const series = data?.[by === "minutes" ? "minutes" : "seconds"];
  const cards = CARDS.filter(({ title, lines }) => matches(q, title, ...lines.map(([line]) => line)));
  return html`<h1>Load</h1>
    <div class="chips" role="group" aria-label="How far back">
      ${[["seconds", "Last minute"], ["minutes", "Last hour"]].map(([id, title]) => html`<button key=${id} type="button" class="chip" aria-pressed=${id === by} onClick=${() => change({ by: id === "seconds" ? "" : id })}>${title}</button>`)}
    </div>
    <p class="results">${by === "minutes" ? "Of this node, by the minute; a gap is time in which it stood still or did not run." : "Of this node, by the second."}</p>
    <${Failed} error=${error} />
    ${series && by === "minutes" && !total(series.measured) && html`<${Empty} title="No minute is over yet"><p>This process has just started. The last minute is there at once.</p>
      <p><button type="button" onClick=${() => change({ by: "" })}>Show the last minute</button></p><//>`}
    ${series && (by !== "minutes" || total(series.measured) > 0) && html`<div class="charts">${cards.map((card) => html`<${Card} key=${`${by} ${card.title}`} card=${card} series=${series} by=${by} />`)}</div>`}
    ${series && !cards.length && html`<${Empty} title="No curve has that name"><button type="button" onClick=${() => change({ q: "" })}>Show all curves</button><//>`}`;
}

function Card({ card: { title, unit, say, sum, lines }, series, by }) {
  const drawn = lines.map(([name, key, tone, dash]) => ({ title: name, values: series[key], tone, dash }));
  const [first] = drawn;
  const now = sum ? total(first.values) : last(first.values);
  const what = sum ? (by === "minutes" ? "in the last hour" : "in the last minute") : unit;
  const label = `${title}: ${say(now)} ${what}; at the most ${drawn.map((line) => `${say(most(line.values))} ${line.title}`).join(", ")}`;
  return html`<section class="card load"><h2>${title}</h2>
    <p class="figure"><b>${say(now)}</b> <span class="quiet">${what}</span></p>
    <${Chart} times=${times(series)} lines=${drawn} say=${say} label=${label} bars=${sum} />
    ${drawn.length > 1 && html`<p class="legend">${drawn.map(({ title, tone, dash, values }) => html`<span key=${title}><i class=${`${tone} ${dash ? "dashed" : ""}`}></i>${title} <b>${say(last(values))}</b></span>`)}</p>`}
  </section>`;
}
