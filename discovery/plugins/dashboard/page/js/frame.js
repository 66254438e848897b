// The frame of every screen: the menu, the search, the state of the connection, the token, the warnings; and the screen in the middle.
import { BASE } from "./api.js";
import { ConnectionState, Stale } from "./connection.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Notice } from "./notice.js";
import { Pulse } from "./pulse.js";
import { Question } from "./question.js";
import { shown } from "./text.js";
import { TokenBox } from "./token_box.js";
import { token, wanted } from "./token.js";
import { change, follow, href, place } from "./url.js";
import { VIEWS } from "./views.js";
import { Warnings } from "./warnings.js";

export function App() {
  const { view } = place.value;
  const found = VIEWS.find(({ id }) => id === view) ?? VIEWS[0];
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone the menu scrolls
  }, [found.id]);
  useEffect(() => {
    document.title = `${found.title ?? shown(place.value.service ?? found.id)} · discovery`;
  });
  // With another token a screen begins anew: it must not go on showing what the one before saw.
  return html`<div class="app" onClick=${follow}>
    <a class="skip" href="#main">Skip to the content</a>
    <header>
      <a class="brand" href="?"><img src="ui/favicon.svg" alt="" width="28" height="28" />discovery</a>
      <${Search} />
      <${ConnectionState} />
      <button type="button" class="token" onClick=${() => setAsked(true)}>${token.value ? "Token ✓" : "Token"}</button>
    </header>
    <nav aria-label="Screens">
      ${VIEWS.filter(({ title }) => title).map(
        ({ id, title }) => html`<a key=${id} href=${href({ view: id })} aria-current=${id === (found.menu ?? found.id) ? "page" : undefined}>${title}</a>`,
      )}
      <a href=${new URL("docs", BASE)}>API</a>
      ${found.id !== "load" && html`<${Pulse} key=${token.value} />`}
    </nav>
    <main id="main" tabindex="-1">
      <${Stale} />
      <${Warnings} />
      <${found.show} key=${`${found.id} ${token.value}`} />
    </main>
    <${Notice} />
    <${Question} />
    ${(asked || wanted.value) && html`<${TokenBox} close=${() => (setAsked(false), (wanted.value = ""))} />`}
  </div>`;
}

/** Enter opens the first that was found, the arrow goes to it. */
function toHits(event) {
  const hit = { Enter: "click", ArrowDown: "focus" }[event.key];
  if (!hit || event.isComposing) return;
  event.preventDefault();
  document.querySelector("main [role=row] a")?.[hit]();
}

/** Every screen is narrowed by it. "/" goes there. */
function Search() {
  const box = useRef(null);
  useEffect(() => {
    const press = (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
      event.preventDefault();
      box.current.focus();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  return html`<input ref=${box} class="search" type="search" aria-label="Search" aria-keyshortcuts="/" placeholder="Search names, addresses, tags, metadata" autocomplete="off" spellcheck="false"
    maxlength="200" value=${place.value.q ?? ""} onInput=${(event) => change({ q: event.target.value })} onKeyDown=${toHits} />`;
}
