// How much is asked, how fast it is answered, and what changes: the last minute by seconds, the last hour by minutes.
import { Chart } from "../components/chart.js";
import { Empty, Failed } from "../components/empty.js";
import { html } from "../html.js";
import { usePoll } from "../poll.js";
import { last, latency, mean, most, rate, share, times, total } from "../rates.js";
import { matches } from "../search.js";
import { change, place } from "../url.js";

// Each card: its title, the figure in it (what is made of the first line's values, and said of them), its lines (title, name in the answer,
// colour, dashes), how a value is said, and whether it counts.
const CARDS = [
  { title: "DNS queries", of: mean, unit: "a second, mean", say: rate, lines: [["queries", "dnsQueriesPerSecond", "accent"]] },
  { title: "HTTP requests", of: mean, unit: "a second, mean", say: rate, lines: [["requests", "httpRequestsPerSecond", "accent"], ["heartbeats", "heartbeatsPerSecond", "maintenance", [6, 4]]] },
  { title: "DNS latency", of: most, unit: "p99, the highest", say: latency, lines: [["p99", "dnsP99Ms", "suspect", [6, 4]], ["median", "dnsP50Ms", "accent"]] },
  { title: "HTTP latency", of: most, unit: "p99, the highest", say: latency, lines: [["p99", "httpP99Ms", "suspect", [6, 4]], ["median", "httpP50Ms", "accent"]] },
  { title: "Names that nobody has", of: mean, unit: "of the queries, mean", say: share, lines: [["NXDOMAIN", "nxdomainShare", "failing"]] },
  { title: "Leases that ran out", of: total, unit: "", say: rate, sum: true, lines: [["expiries", "expiries", "unhealthy"]] },
  { title: "Changes", of: total, unit: "", say: rate, sum: true, lines: [["events", "changes", "draining"]] },
  { title: "Instances", of: last, say: rate, lines: [["instances", "instances", "healthy"]] },
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

function Card({ card: { title, of, unit, say, sum, lines }, series, by }) {
  const drawn = lines.map(([name, key, tone, dash]) => ({ title: name, values: series[key], tone, dash }));
  const figure = say(of(drawn[0].values));
  const what = unit === undefined ? "now" : `${unit} ${by === "minutes" ? "in the last hour" : "in the last minute"}`;
  const label = `${title}: ${figure} ${what}; at the most ${drawn.map((line) => `${say(most(line.values))} ${line.title}`).join(", ")}`;
  return html`<section class="card load"><h2>${title}</h2>
    <p class="figure"><b>${figure}</b> <span class="quiet">${what}</span></p>
    <${Chart} times=${times(series)} lines=${drawn} say=${say} label=${label} bars=${sum} />
    ${drawn.length > 1 && html`<p class="legend">${drawn.map(({ title, tone, dash, values }) => html`<span key=${title}><i class=${`${tone} ${dash ? "dashed" : ""}`}></i>${title} <b>${say(of(values))}</b></span>`)}</p>`}
  </section>`;
}
