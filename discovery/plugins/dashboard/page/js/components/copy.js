// Text to copy: a line as it is typed in a terminal, and the button for it.
import { html, useState } from "../html.js";
import { shown } from "../text.js";

/** `text`: goes to the clipboard as it is, and is shown with what is hidden in it. */
export function Copy({ text, label }) {
  const [said, say] = useState("");
  const copy = async () => {
    say((await copied(text)) ? "Copied" : "Press Ctrl+C");
    setTimeout(() => say(""), 1600);
  };
  return html`<div class="copy">
    <pre tabindex="0" aria-label=${label}><code>${shown(text)}</code></pre>
    <button type="button" onClick=${copy} aria-label=${`Copy ${label}`}>${said || "Copy"}</button>
  </div>`;
}

/** Where the page came by plain HTTP from elsewhere, browsers have no clipboard for it: then by a text area, which is older. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
