// GET /stats and GET /ready, for all who show something of them: asked every two seconds while the page is seen, more seldom where that takes
// long.
import { get } from "./api.js";
import { dnsPlace } from "./dns_place.js";
import { effect, signal } from "./html.js";
import { connection } from "./store.js";
import { token } from "./token.js";

const EVERY = 2000; // milliseconds
const SHARE = 20; // a server that needs 1 s for it is asked every 20

/** What it said last; null before it has said anything. */
export const stats = signal(null);
export const ready = signal(null);

export function start() {
  let timer;
  let asking = null;
  const ask = async () => {
    const began = Date.now();
    asking = new AbortController();
    const { signal } = asking;
    // That nobody answers is said by the connection's state already; that it is not ready is an answer, too.
    await get("stats", { signal }).then((found) => (stats.value = found), () => {});
    await get("ready", { signal }).then((found) => (ready.value = found), ({ body }) => body?.notReady && (ready.value = body));
    asking = null;
    if (connection.peek().state === "live") timer = setTimeout(ask, Math.max(EVERY, (Date.now() - began) * SHARE));
  };
  effect(() => {
    token.value;
    stats.value = ready.value = null; // another token may see other things
  });
  effect(() => {
    clearTimeout(timer);
    asking?.abort();
    if (connection.value.state === "live") ask();
  });
}

/** Of a service, by its key: how many fell silent within the last hour, are not back, and listed no more. */
export function goneOf(key) {
  const removed = stats.value?.goneLastHour.lost.removed ?? {};
  return Object.hasOwn(removed, key) ? removed[key] : 0; // one may be called "constructor"
}

/** Where DNS is answered, for who asks from where this page is. */
export const dns = () => dnsPlace(stats.value, location.hostname);
