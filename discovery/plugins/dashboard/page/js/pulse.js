// Beside every other screen, where there is room: the figures of the screen Load, of the same minute.
import { Spark } from "./components/spark.js";
import { html } from "./html.js";
import { usePoll } from "./poll.js";
import { latency, mean, most, rate, total } from "./rates.js";
import { href } from "./url.js";

const EVERY = 5000; // milliseconds
const wide = matchMedia("(min-width: 761px) and (min-height: 700px)");

export function Pulse() {
  const { data } = usePoll(wide.matches ? "stats/history" : null, EVERY);
  if (!data) return html`<div class="pulse" aria-hidden="true"></div>`;
  const { dnsQueriesPerSecond, httpRequestsPerSecond, httpP99Ms, expiries } = data.seconds;
  const lines = [
    ["DNS", `${rate(mean(dnsQueriesPerSecond))} /s`, dnsQueriesPerSecond],
    ["HTTP", `${rate(mean(httpRequestsPerSecond))} /s`, httpRequestsPerSecond],
    ["HTTP p99", latency(most(httpP99Ms)), httpP99Ms],
    ["Expiries", rate(total(expiries)), expiries],
  ];
  return html`<a class="pulse" href=${href({ view: "load" })} aria-label=${`Load in the last minute: ${lines.map(([name, value]) => `${name} ${value}`).join(", ")}`}>
    <span class="quiet of">In the last minute</span>
    ${lines.map(([name, value, values]) => html`<span key=${name}><span class="quiet">${name}</span><${Spark} values=${values} label=${name} width=${32} height=${20} /><b>${value}</b></span>`)}
  </a>`;
}
