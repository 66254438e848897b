// Where the token is typed. It stays in this tab.
import { Dialog } from "./components/dialog.js";
import { html } from "./html.js";
import { restart } from "./live.js";
import { keep, token, wanted } from "./token.js";

export function TokenBox({ close }) {
  const act = async (fields) => {
    const text = fields.get("token").trim();
    const same = text === token.value;
    keep(text);
    if (same) restart();
  };
  return html`<${Dialog} title="Token" verb="Use it" act=${act} close=${close}>
    ${wanted.value && html`<p class="failed" role="alert">${wanted.value}</p>`}
    <p>What takes a right is asked for with this token. It is kept until this tab is closed, and is sent nowhere but to this server. Whoever runs the server makes one: <code>discovery token new</code>.</p>
    <label>Token<input name="token" type="password" autocomplete="off" spellcheck="false" value=${token.value} /></label>
    ${token.value && html`<p><button type="button" onClick=${() => (keep(""), close())}>Forget it</button></p>`}
  <//>`;
}
