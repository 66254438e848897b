// GET /stats, for all who show something of it: asked every two seconds while the page is seen, more seldom where it takes long.
import { get } from "./api.js";
import { dnsPlace } from "./dns_place.js";
import { effect, signal } from "./html.js";
import { connection } from "./store.js";
import { token } from "./token.js";

const EVERY = 2000; // milliseconds
const SHARE = 20; // a server that needs 1 s for it is asked every 20

/** What it said last; null before it has said anything. */
export const stats = signal(null);

export function start() {
  let timer;
  let asking = null;
  const ask = async () => {
    const began = Date.now();
    asking = new AbortController();
    try {
      stats.value = await get("stats", { signal: asking.signal });
    } catch {
      // the connection's state says so already
    }
    asking = null;
    if (connection.peek().state === "live") timer = setTimeout(ask, Math.max(EVERY, (Date.now() - began) * SHARE));
  };
  effect(() => {
    token.value;
    stats.value = null; // another token may see other things
  });
  effect(() => {
    clearTimeout(timer);
    asking?.abort();
    if (connection.value.state === "live") ask();
  });
}

/** Where DNS is answered, for who asks from where this page is. */
export const dns = () => dnsPlace(stats.value, location.hostname);
