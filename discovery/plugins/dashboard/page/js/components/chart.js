// A chart of numbers over time (uPlot): loaded when the first one is shown, drawn anew when the numbers, the width or the scheme change.
import { html, useEffect, useRef } from "../html.js";

const HEIGHT = 168;
// Steps of an axis that counts.
const WHOLE = [1, 2, 5].flatMap((each) => [0, 1, 2, 3, 4, 5, 6].map((power) => each * 10 ** power)).sort((a, b) => a - b);
const dark = matchMedia("(prefers-color-scheme: dark)");
let loaded; // uPlot, once somebody shows a chart

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** `times`: epoch seconds. `lines`: {title, values, tone (a colour's name), dash}. `say(value)`: a value in words, for the axis. `label`: all
 * of it in a sentence, for who does not see it. */
export function Chart({ times, lines, say, label, bars }) {
  const box = useRef(null);
  const chart = useRef(null);
  const latest = useRef(null);
  latest.current = [times, ...lines.map(({ values }) => (bars ? values.map((value) => value || null) : values))];
  useEffect(() => {
    let gone = false;
    const draw = async () => {
      loaded ??= import("uplot");
      const { default: UPlot } = await loaded;
      if (gone || !box.current) return;
      chart.current?.destroy();
      chart.current = new UPlot(options(UPlot, box.current.clientWidth, lines, say, bars), latest.current, box.current);
    };
    draw();
    const resized = new ResizeObserver(([{ contentRect }]) => chart.current?.setSize({ width: contentRect.width, height: HEIGHT }));
    resized.observe(box.current);
    dark.addEventListener("change", draw);
    return () => {
      gone = true;
      resized.disconnect();
      dark.removeEventListener("change", draw);
      chart.current?.destroy();
    };
  }, []);
  useEffect(() => chart.current?.setData(latest.current));
  return html`<div class="chart" ref=${box} role="img" aria-label=${label}></div>`;
}

function options(UPlot, width, lines, say, bars) {
  const axis = { stroke: color("quiet"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width, height: HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [12, 8, 0, 0],
    scales: { y: { range: (_, least, most) => [0, (bars ? Math.max(most ?? 0, 4) : most || 1) * 1.1] } },
    axes: [
      { ...axis, size: 28, space: 88, values: (_, ticks) => ticks.map(clock) },
      { ...axis, size: 64, space: 36, values: (_, ticks) => ticks.map(say), ...(bars ? { incrs: WHOLE } : {}) },
    ],
    series: [{}, ...lines.map(({ tone, dash, title }) => ({
      label: title, stroke: color(tone), width: 1.75, dash, spanGaps: false, points: { show: (plot) => plot.data[0].length < 2 || undefined, size: 4 },
      ...(bars ? { paths: UPlot.paths.bars({ size: [0.7, 24] }), fill: color(tone), points: { show: false } } : {}),
    }))],
  };
}

const pad = (value) => String(value).padStart(2, "0");

function clock(seconds) {
  const at = new Date(seconds * 1000);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}${at.getSeconds() ? `:${pad(at.getSeconds())}` : ""}`;
}
