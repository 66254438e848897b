// What happened to a service or a host: what the history has, and in front of it what the stream has told since.
import { html } from "./html.js";
import { usePoll } from "./poll.js";
import { stats } from "./stats.js";
import { store, tempo } from "./store.js";

const EVERY = 30_000; // milliseconds: the feed remembers the last 500 events, and may have forgotten some of ours since

// Where none is kept nobody is asked: a browser's console has a line for each 404.
const NONE = { events: [], complete: false, missing: "no history is kept here, since the server has no DATA_DIR or HISTORY_DAYS is 0" };

/** {events, newest first, answer: of GET /history or null, error}. `query`: of the history; `mine(event)`: of what it tells, and the stream. */
export function useTimeline(query, mine) {
  tempo.value;
  const kept = stats.value && stats.value.history.octets !== undefined;
  const { data: read, error } = usePoll(kept ? `history?${query}` : null, EVERY);
  const data = stats.value && !kept ? NONE : read;
  const past = data?.events ?? [];
  const last = past.length ? past[0].index : 0;
  const since = data ? store.feed.list().filter((event) => event.index > last && mine(event)) : [];
  return { events: [...since, ...past.filter(mine)], answer: data, error };
}
