// Maintenance windows on an axis of time: those that are, from the table, and those that were, from their events. Pure.
import { scope } from "./table.js";
import { endpoint } from "./text.js";

/** `current`: windows of the table. `events`: of the history, newest first. → [{service, ip, port, reason, from, until, over, by}], times in
 * epoch milliseconds, `from` null: before the history begins; `over`: it has ended, at `until`. Those that are come first, the next to end
 * before others, then those that were, the latest first. */
export function spans(current, events) {
  const open = new Map(); // by scope, of a window whose beginning was not met yet, going back in time
  const found = [];
  for (const { serviceName, ip, port, reason, until } of current) {
    const span = { service: serviceName, ip, port, reason, from: null, until: Date.parse(until), over: false, by: null };
    open.set(scope(serviceName, ip, port), span);
    found.push(span);
  }
  for (const { kind, service, timestamp, actor, maintenance } of events) {
    if (!maintenance) continue;
    const { ip, port, reason, until } = maintenance;
    const key = scope(service, ip, port);
    const at = Date.parse(timestamp);
    if (kind === "maintenance-ends") {
      if (open.get(key) && !open.get(key).over) continue; // it was begun anew since: older than what the table has
      const span = { service, ip: ip ?? null, port: port ?? null, reason, from: null, until: Math.min(at, Date.parse(until)), over: true, by: null };
      open.set(key, span);
      found.push(span);
    } else if (kind === "maintenance-begins") {
      const span = open.get(key);
      if (!span) continue;
      span.from = at;
      span.by = actor ?? null;
      open.delete(key);
    }
  }
  return found.sort((a, b) => a.over - b.over || (a.over ? b.until - a.until : a.until - b.until));
}

export const nameOf = ({ service, ip, port }) => (ip ? `${service} ${endpoint(ip, port)}` : service);

/** Where a span is on an axis, as parts of its length: {left, width}, cut at both ends; null: not on it. */
export function placed({ from, until }, begin, end) {
  const [left, right] = [Math.max(begin, from ?? begin), Math.min(end, until)];
  return right <= begin || left >= end ? null : { left: (left - begin) / (end - begin), width: (right - left) / (end - begin) };
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY];

/** Times for the axis: whole ones in the reader's zone, at most `most`. */
export function ticks(begin, end, most) {
  const step = STEPS.find((each) => (end - begin) / each <= most) ?? STEPS.at(-1);
  const midnight = new Date(begin);
  midnight.setHours(0, 0, 0, 0);
  const found = [];
  for (let at = midnight.getTime(); at < end; at += step) if (at >= begin) found.push(at);
  return { step, at: found };
}

const pad = (value) => String(value).padStart(2, "0");

/** `14:00`, or `Thu 26` where days are counted: it has to fit between two ticks. */
export function tickText(at, step) {
  const time = new Date(at);
  const day = time.toLocaleDateString("en-GB", { weekday: "short", day: "numeric" });
  return step >= DAY || (time.getHours() === 0 && time.getMinutes() === 0) ? day : `${pad(time.getHours())}:${pad(time.getMinutes())}`;
}
