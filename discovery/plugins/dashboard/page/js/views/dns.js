// The DNS explorer: a name and a type, and what this server says to that; with the lines that ask the same.
import { get, part } from "../api.js";
import { Copy } from "../components/copy.js";
import { Empty, Failed } from "../components/empty.js";
import { Glyph } from "../components/glyph.js";
import { counted } from "../components/results.js";
import { meaning, meant, suggested } from "../dig.js";
import { html, useEffect, useState } from "../html.js";
import { usePoll } from "../poll.js";
import { matches } from "../search.js";
import { dns } from "../stats.js";
import { store, version } from "../store.js";
import { shown } from "../text.js";
import { change, href, place } from "../url.js";

const TITLES = { answer: "Answer", authority: "Authority", additional: "Additional" };
const FLAGS = {
  qr: "a reply", aa: "authoritative: from this server's own zones", tc: "cut: ask again over TCP", rd: "recursion was wanted",
  ra: "other names are asked for elsewhere", ad: "proved by DNSSEC", cd: "unchecked",
};

const json = (path, options) => get(path, { ...options, headers: { Accept: "application/json" } });

export function Dns() {
  const { name = "", type = "A" } = place.value;
  const klass = type === "CH" ? "&class=CH" : "";
  const path = name ? `dns/${part(name)}?type=${part(klass ? "TXT" : type)}${klass}` : null;
  const { data, error, again } = usePoll(path, 0, json);
  return html`<h1>DNS</h1>
    <${Asking} name=${name} type=${type} again=${again} />
    <div aria-live="polite"><${Failed} error=${error} /></div>
    ${data !== null && html`<${Answer} found=${data} name=${name} type=${type} />`}
    ${!name && html`<${Nothing} />`}`;
}

/** What is typed is asked for when it is sent; a type at once. */
function Asking({ name, type, again }) {
  version.value;
  const [typed, setTyped] = useState(name);
  useEffect(() => setTyped(name), [name]);
  const send = (event) => {
    event.preventDefault();
    const wanted = typed.trim();
    if (wanted === name) again();
    else change({ name: wanted });
  };
  const types = [...new Set([...dns().types, type])];
  return html`<form class="asking" role="search" aria-label="A question to this server's DNS" onSubmit=${send}>
      <label class="name">Name<input name="name" class="mono" list="dns-names" value=${typed} onInput=${(event) => setTyped(event.target.value)} placeholder=${`user-service.${dns().domains[0]}`}
        autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="1004" /></label>
      <datalist id="dns-names">${suggested(store.table, dns().domains, typed).map((each) => html`<option key=${each} value=${each}></option>`)}</datalist>
      <button type="submit" class="primary">Ask</button></form>
    <div class="chips types" role="group" aria-label="Type of records">
      ${types.map((each) => html`<button key=${each} type="button" class="chip" aria-pressed=${each === type} onClick=${() => change({ type: each === "A" ? "" : each, name: typed.trim() })}>${shown(each)}</button>`)}
    </div>`;
}

function Answer({ found, name, type }) {
  const other = meant(found, name);
  const [tone, means] = meaning(found.status, found.answer.length);
  const { q = "" } = place.value;
  return html`<section class=${`card verdict ${tone}`} aria-label="What it says">
      <h2 class="status"><${Glyph} status=${tone} />${found.status || "No reply"}</h2>
      <p>${means}</p>
      ${found.explained.map(({ code, meaning, text }) => html`<p key=${code + text} class="explained"><span class="quiet">${meaning || `EDE ${code}`}</span> ${shown(text)}</p>`)}
      ${other && html`<p><a class="button" href=${href({ view: "dns", name: other, type, q: "" })}>Ask for ${shown(other)}</a></p>`}
      <p class="flags">${found.flags.map((flag) => html`<abbr key=${flag} class="tag" title=${FLAGS[flag] ?? ""}>${flag}</abbr>`)}
        <span class="quiet">${found.octets} octets, ${(found.seconds * 1000).toFixed(1)} ms</span></p>
    </section>
    ${Object.keys(TITLES).map((section) => {
      const records = found[section];
      const some = records.filter((record) => matches(q, record.name, record.type, record.data));
      return records.length > 0 && html`<${Section} key=${section} title=${TITLES[section]} records=${some} all=${records.length} />`;
    })}
    <section class="part"><h2>In a terminal</h2>
      <div class="commands">
        <div><h3>the same question with dig</h3><${Copy} text=${found.commands.dig} label="the dig line" /></div>
        <div><h3>the same over HTTP</h3><${Copy} text=${found.commands.curl} label="the curl line" /></div>
      </div></section>
    <section class="part"><h2>As text</h2>
      <pre class="printed" tabindex="0" aria-label="The answer as text">${shown_(found.text)}</pre></section>`;
}

/** Lines stay lines. */
const shown_ = (text) => text.split("\n").map(shown).join("\n");

function Section({ title, records, all }) {
  return html`<section class="part"><h2>${title} <span class="quiet">${counted(records.length, all, "record", records.length < all)}</span></h2>
    <ul class="records">${records.map((record, at) => html`<li key=${`${at} ${record.data}`}>
      <span class="type">${record.type}</span><code class="data"><${Data} record=${record} /></code>
      <span class="of"><code>${shown(record.name)}</code><span class="quiet" title="for how many seconds a cache may keep it">TTL ${record.ttl} s</span></span></li>`)}</ul></section>`;
}

/** The name in its data can be asked for next. */
function Data({ record: { type, data, target } }) {
  if (!target || target === ".") return shown(data);
  const [before, ...after] = data.split(target);
  const name = target.replace(/\.$/, "");
  return html`${shown(before)}<a href=${href({ view: "dns", name, type: type === "PTR" ? "SRV" : "A", q: "" })}>${shown(target)}</a>${shown(after.join(target))}`;
}

function Nothing() {
  version.value;
  const { domains } = dns();
  const [first] = store.table.serviceList();
  const name = `${first?.name ?? "user-service"}.${domains[0]}`;
  const tries = [
    [name, "A", "its addresses"], [name, "SRV", "addresses and ports"], [name, "TXT", "metadata"],
    [`_services._dns-sd._udp.${domains[0]}`, "PTR", "all services"], [domains[0], "SOA", "the zone, and its serial"], ["version.bind", "CH", "the version of this server"],
  ];
  return html`<${Empty} title="What does a DNS client get?">
    <p>Type a name, whole as in dig, or try one of these. The answer is made for the address that you ask from: what may not be told to it over DNS is not told here.</p>
    <ul class="tries">${tries.map(([each, type, what]) => html`<li key=${each + type}><a class="mono" href=${href({ view: "dns", name: each, type, q: "" })}>${shown(each)} ${type === "CH" ? "TXT" : type}</a> <span class="quiet">${what}</span></li>`)}</ul>
  <//>`;
}
