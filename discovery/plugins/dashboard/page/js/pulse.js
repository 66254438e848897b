// Beside every screen, where there is room: how much is asked, how fast it is answered, what fell silent. The whole is on the screen Load.
import { Spark } from "./components/spark.js";
import { html } from "./html.js";
import { usePoll } from "./poll.js";
import { last, latency, rate, total } from "./rates.js";
import { href } from "./url.js";

const EVERY = 5000; // milliseconds
const wide = matchMedia("(min-width: 761px) and (min-height: 700px)");

export function Pulse() {
  const { data } = usePoll(wide.matches ? "stats/history" : null, EVERY);
  if (!data) return html`<div class="pulse" aria-hidden="true"></div>`;
  const { dnsQueriesPerSecond, httpRequestsPerSecond, httpP99Ms, expiries } = data.seconds;
  const lines = [
    ["DNS", `${rate(last(dnsQueriesPerSecond))} /s`, dnsQueriesPerSecond],
    ["HTTP", `${rate(last(httpRequestsPerSecond))} /s`, httpRequestsPerSecond],
    ["p99", latency(last(httpP99Ms)), httpP99Ms],
    ["Expiries", rate(total(expiries)), expiries],
  ];
  return html`<a class="pulse" href=${href({ view: "load" })} aria-label=${`Load: ${lines.map(([name, value]) => `${name} ${value}`).join(", ")}`}>
    ${lines.map(([name, value, values]) => html`<span key=${name}><span class="quiet">${name}</span><${Spark} values=${values} label=${name} width=${40} height=${20} /><b>${value}</b></span>`)}
  </a>`;
}
