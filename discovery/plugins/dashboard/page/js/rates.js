// GET /stats/history in words and numbers for the curves. Pure.
import { number } from "./text.js";

/** Epoch seconds of each value. */
export const times = ({ from, step }) => Array.from({ length: 60 }, (_, at) => Date.parse(from) / 1000 + at * step);

/** The newest value that was measured; null when there is none. */
export const last = (values) => values.findLast((value) => value !== null) ?? null;

/** Of those that were measured; null when there is none. */
export const most = (values) => values.reduce((found, value) => (value === null ? found : Math.max(found ?? 0, value)), null);

export function mean(values) {
  const measured = values.filter((value) => value !== null);
  return measured.length ? total(measured) / measured.length : null;
}

/** What came in all. */
export const total = (values) => values.reduce((found, value) => found + (value ?? 0), 0);

/** `0.4`, `38`, `1,204`. */
export function rate(value) {
  if (value === null) return "–";
  return value < 10 && value % 1 ? value.toFixed(1) : number(Math.round(value));
}

/** Milliseconds: `8 µs`, `0.4 ms`, `120 ms`, `3 s`. */
export function latency(ms) {
  if (ms === null) return "–";
  if (ms >= 1000) return `${+(ms / 1000).toPrecision(2)} s`;
  return ms >= 0.1 || ms === 0 ? `${+ms.toPrecision(2)} ms` : `${Math.round(ms * 1000)} µs`;
}

export const share = (value) => (value === null ? "–" : `${+(value * 100).toPrecision(2)} %`);
