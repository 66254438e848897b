// The one search: every word has to be somewhere in what is looked at. Pure.
import { stateOf } from "./table.js";
import { endpoint } from "./text.js";

const words = (query) => query.toLowerCase().split(/\s+/).filter(Boolean);

const known = new WeakMap(); // instances and events do not change

function once(thing, make) {
  let text = known.get(thing);
  if (text === undefined) known.set(thing, (text = make(thing).toLowerCase()));
  return text;
}

const ofInstance = (it) =>
  [
    it.name, endpoint(it.ip, it.port), it.id, it.status, stateOf(it), it.lease && "permanent", it.output, it.zone, it.protocol, it.checkFailure, ...(it.tags ?? []),
    ...Object.entries(it.ports ?? {}).map((each) => each.join("=")),
    ...Object.entries(it.metadata ?? {}).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`),
  ].join("\n");

const ofEvent = (event) =>
  [
    event.kind, event.service, event.reason, event.actor?.name, event.actor?.address, event.maintenance?.reason,
    event.drain && endpoint(event.drain.ip, event.drain.port),
    ...[event.instance ?? event.before].filter(Boolean).map(ofInstance),
  ].join("\n");

/** Whether a text has all words of the query. */
export function matches(query, ...texts) {
  const text = texts.join("\n").toLowerCase();
  return words(query).every((word) => text.includes(word));
}

/** A test for instances, `words` as they were typed; null for an empty query. */
export function instanceTest(query) {
  const all = words(query);
  return all.length ? (instance) => all.every((word) => once(instance, ofInstance).includes(word)) : null;
}

export function eventTest(query) {
  const all = words(query);
  return all.length ? (event) => all.every((word) => once(event, ofEvent).includes(word)) : null;
}

/** How many instances of each state have all words. */
export function countsOf(table, query) {
  const test = instanceTest(query);
  if (!test) return table.counts;
  const counts = {};
  for (const instance of table.byId.values()) if (test(instance)) counts[stateOf(instance)] = (counts[stateOf(instance)] ?? 0) + 1;
  return counts;
}

/** Groups that have an instance with all words, and one of `states` if there are any. */
export function groupsWith(groups, query, states) {
  const test = instanceTest(query);
  if (!test && !states.size) return groups;
  return groups.filter((group) => {
    if (states.size && ![...states].some((state) => group.counts[state])) return false;
    if (!test) return true;
    for (const instance of group.instances.values()) {
      if ((!states.size || states.has(stateOf(instance))) && test(instance)) return true;
    }
    return false;
  });
}
