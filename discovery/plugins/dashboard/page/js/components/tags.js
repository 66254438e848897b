// What an instance registered besides its address, in short: tags, locality, metadata.
import { html } from "../html.js";
import { plain, shown } from "../text.js";

// So many are there at the most; what does not fit into the row is not seen, and stands on the instance's own screen.
const MOST = 8;

export function Tags({ instance }) {
  const { tags = [], zone, metadata = {} } = instance;
  const words = [
    ...tags.map((tag) => ["tag", shown(tag)]),
    ...(zone ? [["zone", shown(zone)]] : []),
    ...Object.entries(metadata).map(([key, value]) => ["", `${shown(key)}=${plain(value)}`]),
  ];
  return html`<span class="tags" title=${words.map(([, word]) => word).join(", ")}>${words.slice(0, MOST).map(([kind, word], at) => html`<span key=${at} class=${`tag ${kind}`}>${word}</span>`)}</span>`;
}
