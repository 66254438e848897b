// What an instance registered besides its address, in short: tags, locality, metadata.
import { html } from "../html.js";
import { plain, shown } from "../text.js";

// In a row there is no room for more.
const MOST = 4;

export function Tags({ instance }) {
  const { tags = [], zone, metadata = {} } = instance;
  const words = [
    ...tags.map((tag) => ["tag", shown(tag)]),
    ...(zone ? [["zone", shown(zone)]] : []),
    ...Object.entries(metadata).map(([key, value]) => ["", `${shown(key)}=${plain(value)}`]),
  ];
  return html`<span class="tags">${words.slice(0, MOST).map(([kind, word], at) => html`<span key=${at} class=${`tag ${kind}`} title=${kind || "metadata"}>${word}</span>`)}
    ${words.length > MOST && html`<span class="quiet">+${words.length - MOST}</span>`}</span>`;
}
