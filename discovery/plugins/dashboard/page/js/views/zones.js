// Instances and askers by zone, the share of answers that crossed, and which services a zone has too few healthy ones of.
import { Copy } from "../components/copy.js";
import { Empty, Failed } from "../components/empty.js";
import { Glyph } from "../components/glyph.js";
import { Results } from "../components/results.js";
import { Cell, Rows } from "../components/rows.js";
import { html } from "../html.js";
import { usePoll } from "../poll.js";
import { matches } from "../search.js";
import { count, number, shown } from "../text.js";
import { change, href, place } from "../url.js";

const COLUMNS = [
  { id: "name", title: "Zone" }, { id: "healthy", title: "Healthy" }, { id: "askers", title: "Askers" }, { id: "crossed", title: "Crossed" }, { id: "limping", title: "Too few healthy here" },
];

export function Zones() {
  const { q = "" } = place.value;
  const { data, error } = usePoll("zones", 5000);
  const all = data?.zones ?? [];
  const found = all.filter(({ zone, networks, limping }) => matches(q, zone, ...networks, ...limping.map(({ service }) => service)));
  return html`<h1>Zones</h1>
    <${Failed} error=${error} />
    ${data && html`<${Results} known=${true} found=${found.length} all=${all.length} noun="zone" narrowed=${q} />
      ${found.length > 0 && html`<${Rows} kind="zones" label="Zones" items=${found} keyOf=${({ zone }) => zone} columns=${COLUMNS} row=${row} heights=${[64, 112]} />`}
      ${!found.length && html`<${Empty} title=${all.length ? "No zone has that" : "No instance says in which zone it is"}>
        ${all.length ? html`<button type="button" onClick=${() => change({ q: "" })}>Show all zones</button>` : html`<p>An instance says it with <code>zone</code> when it registers.</p>`}<//>`}
      <section class="part">${data.others > 0 && html`<p class="quiet">${count(data.others, "instance")} in no zone that is listed.</p>`}
        ${data.minHealthy === null ? html`<${Empty} title="All clients are given the same">
            <p>With the zones of clients, those in a zone get its instances first. Say it when the server starts:</p>
            <${Copy} text="CLIENT_ZONES=10.1.0.0/16=eu-a,10.2.0.0/16=eu-b discovery serve" label="the line that sets the zones of clients" /><//>`
          : html`<p class="quiet">While fewer than ${data.minHealthy} % of a service's instances in a zone are healthy, others make up for them.</p>`}</section>`}`;
}

function row({ zone, networks, networkCount, instances, healthy, missing, askers, answers, crossed, limping }) {
  const more = networkCount - networks.length;
  return html`<${Cell} of="name"><b>${shown(zone)}</b>
      <span class="quiet mono">${networkCount ? `${networks.map(shown).join(", ")}${more ? ` and ${number(more)} more` : ""}` : "no clients (CLIENT_ZONES)"}</span><//>
    <${Cell} of="healthy">${number(healthy)} of ${number(instances)}${missing > 0 && html` <span class="quiet">${number(missing)} missing</span>`}<//>
    <${Cell} of="askers">${number(askers)}${askers >= 1000 && " or more"}<//>
    <${Cell} of="crossed">${answers ? html`<b>${Math.round((100 * crossed) / answers)} %</b> <span class="quiet">of ${number(answers)}</span>` : html`<span class="quiet">none yet</span>`}<//>
    <${Cell} of="limping">${limping.length ? limping.map((each) => html`<span key=${each.service} class="status suspect"><${Glyph} status="suspect" /><a href=${href({ view: "service", service: each.service.toLowerCase() })}>${shown(each.service)}</a> ${number(each.healthy)} of ${number(each.known)}</span> `)
      : html`<span class="status healthy"><${Glyph} status="healthy" />none</span>`}<//>`;
}
