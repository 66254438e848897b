// Who may, and who did: the tokens of this node, and the audit. Both take an admin's token; their absence says what to set.
import { get, part } from "../api.js";
import { Ago, Clock } from "../components/ago.js";
import { Copy } from "../components/copy.js";
import { Empty, Failed } from "../components/empty.js";
import { counted } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { html, useEffect, useState } from "../html.js";
import { audited, byWhom } from "../audited.js";
import { usePoll } from "../poll.js";
import { matches } from "../search.js";
import { stats } from "../stats.js";
import { fold } from "../table.js";
import { count, endpoint, number, shown } from "../text.js";
import { wanted } from "../token.js";
import { change, href, place } from "../url.js";

const TOKENS = [{ id: "name", title: "Token" }, { id: "rights", title: "May" }, { id: "until", title: "Until" }, { id: "used", title: "Last used" }, { id: "source", title: "From" }];
const AUDIT = [{ id: "time", title: "Time" }, { id: "who", title: "Who" }, { id: "action", title: "What" }, { id: "whom", title: "To whom" }, { id: "how", title: "What came of it" }];
const LIMIT = 100;

export function Access() {
  const { q = "" } = place.value;
  return html`<h1>Access</h1><${Tokens} q=${q} /><${Audit} q=${q} />`;
}

/** For who is no admin. */
function NotAllowed({ error, what }) {
  return html`<${Empty} title=${`${what} are for admins`}>
    <p>${shown(error.message)}</p>
    <p><button type="button" onClick=${() => (wanted.value = error.message)}>Type a token</button></p><//>`;
}

const isRefusal = (error) => error?.status === 401 || error?.status === 403;

function Tokens({ q }) {
  const { data, error } = usePoll("admin/tokens", 10_000);
  const all = data?.tokens ?? [];
  const found = all.filter((token) => matches(q, token.name, token.source, ...token.register, ...rights(token)));
  return html`<section class="part first"><h2>Tokens <span class="quiet">${data && (q ? `${found.length} of ${all.length}` : number(all.length))}</span></h2>
    ${isRefusal(error) ? html`<${NotAllowed} error=${error} what="Tokens" />` : html`<${Failed} error=${error} />`}
    ${data?.fileFailure && html`<p class="failed" role="alert">${shown(data.fileFailure)}. The tokens that were read before are in use.</p>`}
    ${found.length > 0 && html`<${Rows} kind="tokens" label="Tokens" items=${found} keyOf=${({ name }) => name} columns=${TOKENS} row=${tokenRow} heights=${[44, 84]} />`}
    ${data?.message && html`<${Empty} title="No token is needed here"><p>Whoever reaches this server may change everything. Set API_TOKEN or TOKENS_FILE, and start it again. This makes a token:</p>
      <${Copy} text="discovery token new deploy --register 'user-*' --file tokens.toml" label="the line that makes a token" /><//>`}
    ${data && all.length > 0 && html`<p class="quiet">${data.readsNeedToken ? "Reading takes a token, too." : "Reading takes no token (REQUIRE_READ_TOKEN)."} ${data.file && html`The file of this node is <code>${shown(data.file)}</code>.`}</p>`}
    ${data?.revoked.length > 0 && html`<${Revoked} revoked=${data.revoked} />`}</section>`;
}

/** In words. */
function rights(token) {
  if (token.admin) return ["everything"];
  const found = token.register.length ? [`register ${token.register.join(", ")}`] : [];
  return token.read ? [...found, "read"] : found;
}

function tokenRow(token) {
  const state = token.revoked ? ["unhealthy", "revoked"] : token.expired ? ["draining", "expired"] : null;
  return html`<${Cell} of="name"><b>${shown(token.name)}</b>${state && html` <span class=${`tag ${state[0]} status`}>${state[1]}</span>`}<//>
    <${Cell} of="rights" title=${shown(rights(token).join("; "))}>${rights(token).map((right) => html`<span key=${right} class=${right === "everything" ? "tag every" : "tag"}>${shown(right)}</span>`)}<//>
    <${Cell} of="until">${token.expires ? html`<time dateTime=${token.expires} title=${token.expires}>${token.expires.slice(0, 10)}</time>` : "for ever"}<//>
    <${Cell} of="used">${token.lastUsed ? html`used <${Ago} at=${token.lastUsed} />` : html`<span class="quiet">not used yet</span>`}<//>
    <${Cell} of="source">${token.source}<//>`;
}

function Revoked({ revoked }) {
  return html`<details><summary>${count(revoked.length, "token")} revoked on all nodes</summary>
    <ul class="plain">${revoked.map((each) => html`<li key=${each.sha256}><b>${shown(each.name || "(in no file of the node that was asked)")}</b> by ${shown(each.revokedBy)}, <${Clock} at=${each.revokedAt} />
      <${Copy} text=${`discovery token restore ${each.sha256}`} label=${`the line that takes back the revocation of ${shown(each.name)}`} /></li>`)}</ul></details>`;
}

/** The newest page comes anew by itself; older ones are added when asked for. */
function Audit({ q }) {
  const { actor, of } = place.value;
  const narrowed = `${actor ? `&actor=${part(actor)}` : ""}${of ? `&service=${part(of)}` : ""}`;
  const known = stats.value !== null;
  const off = known && !stats.value.audit; // not asked then: a browser's console has a line for each 404
  const newest = usePoll(known && !off ? `admin/audit?limit=${LIMIT}${narrowed}` : null, 5000);
  const [older, setOlder] = useState({ lines: [], next: undefined, busy: false, error: null, first: null });
  useEffect(() => setOlder({ lines: [], next: undefined, busy: false, error: null, first: null }), [narrowed]);
  const first = older.first ?? newest.data;
  const next = older.next === undefined ? first?.next : older.next;
  const more = async () => {
    setOlder({ ...older, first, busy: true, error: null });
    try {
      const page = await get(`admin/audit?limit=${LIMIT}&before=${part(next)}${narrowed}`);
      setOlder({ lines: [...older.lines, ...page.lines], next: page.next, busy: false, error: null, first });
    } catch (error) {
      setOlder({ ...older, first, busy: false, error });
    }
  };
  const all = [...(first?.lines ?? []), ...older.lines];
  const found = all.filter((line) => matches(q, byWhom(line), line.action, line.service ?? "", line.outcome ?? "", audited(line), line.instance?.ip ? endpoint(line.instance.ip, line.instance.port) : ""));
  const { error } = newest;
  return html`<section class="part"><h2>Audit <span class="quiet">${newest.data && counted(found.length, all.length, "line", q)}</span></h2>
    ${(actor || of) && html`<p class="narrowed">Only ${actor && html`by <b>${shown(actor)}</b> `}${of && html`about <b>${shown(of)}</b> `}<button type="button" onClick=${() => change({ actor: "", of: "" })}>Show all</button></p>`}
    ${off ? html`<${Off} />` : isRefusal(error) ? html`<${NotAllowed} error=${error} what="Audit lines" />` : html`<${Failed} error=${error} />`}
    ${found.length > 0 && html`<${Rows} kind="audit" label="Audit" items=${found} keyOf=${(line) => `${line.time} ${line.index} ${line.action} ${line.instance?.id} ${line.outcome}`} columns=${AUDIT} row=${auditRow} heights=${[44, 100]} />`}
    ${newest.data && !found.length && html`<p class="quiet">${q ? "None of these lines has that." : "Nobody has changed anything yet: registrations, drains, maintenance and refused writes get a line each."}</p>`}
    <${Failed} error=${older.error} />
    ${next && !error && html`<p><button type="button" disabled=${older.busy} onClick=${more}>Older lines</button></p>`}</section>`;
}

function auditRow(line) {
  const { instance, service } = line;
  const name = line.by.name || line.by.address;
  return html`<${Cell} of="time"><${Clock} at=${line.time} /><//>
    <${Cell} of="who" title=${shown(byWhom(line))}><a href=${href({ ...place.value, actor: name })}>${shown(name)}</a>${line.by.name && html` <span class="quiet">${shown(line.by.address)}</span>`}<//>
    <${Cell} of="action">${shown(line.action)}<//>
    <${Cell} of="whom">${service && html`<a href=${href({ view: "service", service: fold(service) })}>${shown(service)}</a> `}${instance?.ip && html`<span class="mono">${endpoint(instance.ip, instance.port)}</span>`}<//>
    <${Cell} of="how" title=${shown(audited(line))}>${line.outcome && line.outcome !== "done" && html`<span class="tag status unhealthy">${shown(line.outcome)}</span> `}${shown(audited(line))}<//>`;
}

function Off() {
  return html`<${Empty} title="Nobody writes down who changes what">
    <p>AUDIT_FILE is not set. With it each write has a line here: who, when, and how it was before.</p>
    <${Copy} text="AUDIT_FILE=/var/lib/discovery/audit.jsonl" label="the setting" /><//>`;
}
