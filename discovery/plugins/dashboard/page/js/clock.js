// The server's time as this page knows it: the reader's clock may be wrong, and ages of heartbeats must not be.
import { signal } from "@preact/signals";

let ahead = 0; // milliseconds by which the server's clock is before ours
let known = false;

/** Epoch milliseconds at the server. */
export const serverNow = () => Date.now() + ahead;

/** Ticks once a second while the page can be seen: what shows an age reads it. */
export const now = signal(Date.now());

/** `timestamp` of an answer that was asked for at `asked` and is here at `got`, epoch milliseconds. Latency counts half. */
export function learn(timestamp, asked, got) {
  const at = Date.parse(timestamp);
  if (Number.isNaN(at)) return;
  const found = at - (asked + got) / 2;
  if (known && Math.abs(found - ahead) <= 2000) ahead += (found - ahead) / 8;
  else {
    ahead = found;
    known = true;
    now.value = serverNow(); // no age is shown by the wrong clock until the next tick
  }
}

setInterval(() => {
  if (!document.hidden) now.value = serverNow();
}, 1000);
