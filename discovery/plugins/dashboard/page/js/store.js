// What the views show: the table, the feed, and the state of the connection. Views read `version.value`, and so are drawn again, at
// most once a frame, after something has changed.
import { signal } from "@preact/signals";
import { Ring } from "./ring.js";
import { Table } from "./table.js";

// Events that the feed remembers.
const FEED = 500;

export const version = signal(0);
export const store = { table: new Table(), feed: new Ring(FEED), complete: false };

/** `state`: loading · live · away (the server does not answer) · busy (it answers, and refuses for now: its `message` and `status`), both with
 * `since` and `retryAt` in epoch milliseconds · refused (its `message`) · hidden. */
export const connection = signal({ state: "loading" });

/** As `version`, four times a second at the most: for lists that move as a whole, which nobody could read faster. */
export const tempo = signal(0);
const BEAT = 250; // milliseconds

let asked = false;
let beating = false;

/** As before anything was read. */
export function forget() {
  store.table = new Table();
  store.feed.clear();
  store.complete = false;
  changed();
}

/** Something has changed. However often it is called, the views hear of it once a frame. */
export function changed() {
  if (!beating) {
    beating = true;
    setTimeout(() => {
      beating = false;
      tempo.value++;
    }, BEAT);
  }
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    version.value++;
  });
}
