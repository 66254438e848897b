// Keeps the table: everything once, page by page, then each change by /events. Comes back by itself after a restart of the server, with
// another token, and when the page is seen again; while it is hidden it lets go of the stream.
import { effect } from "@preact/signals";
import { Away, Refused, get, refusal, request } from "./api.js";
import { changed, connection, forget, store } from "./store.js";
import { messages } from "./stream.js";
import { Table } from "./table.js";
import { token, wanted } from "./token.js";

const PAGE = 100; // services
const FIRST_WAIT = 500; // milliseconds, doubled with each attempt
const LONGEST_WAIT = 8000;
const LONGEST_WANTED = 60_000; // a proxy on the way may ask for any time
const SILENCE = 40_000; // the server has a comment for a stream every 15 s

class Outdated extends Error {} // what is known is too old, or of another life of the server: everything is read anew

let seen = null; // the index of the last event; null: nothing is known
let logStart = null;
let failures = 0;
let run = null; // the AbortController of what is under way

export function start() {
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : restart()));
  let last = token.value;
  effect(() => {
    if (token.value !== last || run === null) {
      last = token.value;
      seen = null;
      forget(); // another token may see other things, and none of what this one saw
      restart();
    }
  });
}

function stop() {
  run?.abort();
  connection.value = { state: "hidden" };
}

/** Now, whatever the wait. */
export function restart() {
  run?.abort();
  run = new AbortController();
  failures = 0;
  if (!document.hidden) keepUp(run.signal);
}

async function keepUp(signal) {
  while (!signal.aborted) {
    try {
      if (seen === null) await readAll(signal);
      await listen(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Outdated) {
        seen = null;
        continue;
      }
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        connection.value = { state: "refused", message: error.message };
        wanted.value = error.message;
        return; // until there is another token
      }
      if (!(error instanceof Away || error instanceof Refused || error instanceof TypeError)) console.error(error);
      if (signal.aborted) return;
      await pause(signal, error);
      continue;
    }
    if (signal.aborted) return;
    await pause(signal);
  }
}

/** The stream has ended, or nobody answers, or with a refusal: a while, longer each time, as long as the server wants at least, and by
 * chance, so that pages do not come back together. */
async function pause(signal, error) {
  const wanted = Math.max(0, Math.min(LONGEST_WANTED, error?.body?.retryAfter * 1000 || 0));
  const wait = wanted + Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures++) * (0.75 + Math.random() / 2);
  const [state, message] = error instanceof Refused ? ["busy", error.message] : ["away", "The server does not answer"];
  const since = connection.value.state === state ? connection.value.since : Date.now();
  connection.value = { state, message, status: error?.status, since, retryAt: Date.now() + wait };
  await new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over); // it may be waited for through a whole night
      resolve();
    };
    const timer = setTimeout(over, wait);
    signal.addEventListener("abort", over);
  });
}

/** The first page is shown at once; once there is something to see, the new table takes its place when it is whole. */
async function readAll(signal) {
  if (!["away", "busy"].includes(connection.value.state)) connection.value = { state: "loading" };
  const table = store.complete ? new Table() : (store.table = new Table());
  let index = null;
  let after = "";
  do {
    const page = await get(`services?limit=${PAGE}${after === "" ? "" : `&after=${encodeURIComponent(after)}`}`, { signal });
    index ??= page.index; // what happens from now on is told by the stream, and may be in later pages already: that does no harm
    for (const [name, { instances, changedAt }] of Object.entries(page.services)) {
      for (const instance of instances) table.put(instance);
      table.touch(name, Date.parse(changedAt) || 0);
    }
    after = page.next;
    changed();
  } while (after !== null);
  const { windows } = await get("maintenance", { signal });
  for (const { serviceName, ip, port, reason, until } of windows) table.putWindow(serviceName, ip, port, reason, until);
  store.table = table;
  store.complete = true;
  seen = index;
  changed();
}

async function listen(signal) {
  const response = await request("GET", "events", { signal, headers: { "Last-Event-ID": String(seen) } });
  if (!response.ok) throw await refusal(response);
  const started = Number(response.headers.get("X-Registry-Log-Start"));
  const before = logStart;
  logStart = started;
  // Also where it begins at what was seen: a server with a memory does that when it was stopped well, one without may by chance.
  if (before !== null && started !== before && started <= seen) {
    response.body.cancel().catch(() => {}); // else it stays open, and the server keeps it
    throw new Outdated();
  }
  failures = 0;
  connection.value = { state: "live", since: Date.now() };
  await messages(response, take, SILENCE);
}

function take(found) {
  for (const { id, event, data } of found) {
    if (event === "reset") throw new Outdated();
    const happened = JSON.parse(data);
    store.table.apply(happened, Date.parse(happened.timestamp)); // and not now: the page may have been hidden for an hour
    store.feed.push(happened);
    if (id !== null) seen = Number(id);
  }
  changed();
}
