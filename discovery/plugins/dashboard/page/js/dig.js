// GET /dns/NAME: what its answer means, and names to ask for. Pure.
import { isLabel } from "./table.js";

/** The name that was probably meant by `name`, by what the answer explains; "" when it says nothing of it. */
export function meant({ explained, wholeName }, name) {
  if (wholeName) return wholeName;
  for (const { text } of explained) {
    const [, wrong, right] = /^no service (\S+); did you mean (\S+)\?$/.exec(text) ?? [];
    const labels = name.split(".");
    const at = labels.findIndex((label) => label.toLowerCase() === wrong);
    if (at >= 0) return [...labels.slice(0, at), right, ...labels.slice(at + 1)].join(".");
  }
  return "";
}

// Names that are offered while one is typed.
const MOST = 40;

/** Names that somebody could mean who has typed that, of the table and in the first of `domains`. */
export function suggested(table, domains, typed) {
  const zone = domains[0] ?? "svc.local";
  const wanted = typed.trim().toLowerCase().replace(/\.$/, "");
  const label = wanted.endsWith(`.${zone}`) ? wanted.slice(0, -zone.length - 1) : wanted;
  const found = [];
  const service = table.services.get(label.split(".").at(-1));
  if (service) found.push(...below(service, zone));
  for (const { key, name } of table.serviceList()) {
    if (found.length >= MOST) break;
    if (isLabel(name) && (!label || key.includes(label))) found.push(`${name}.${zone}`);
  }
  if (/^[0-9.]+$/.test(wanted)) for (const { key } of table.hostList()) if (key.startsWith(wanted) && !key.includes(":")) found.push(`${key.split(".").reverse().join(".")}.in-addr.arpa`);
  return [...new Set(found.length ? found : [zone, `_services._dns-sd._udp.${zone}`])].slice(0, MOST);
}

/** What can be asked about one service: itself, its tags, ports and localities, as SRV, one instance. */
function below({ name, instances }, zone) {
  const protocols = [...new Set([...instances.values()].flatMap(({ protocol = "tcp" }) => protocol))];
  const names = [`${name}.${zone}`, ...protocols.map((each) => `_${name}._${each}.${zone}`)];
  const parts = new Set();
  for (const { tags = [], port, ports = {}, zone: locality } of instances.values()) {
    for (const tag of tags) if (isLabel(tag)) parts.add(tag);
    for (const named of Object.keys(ports)) for (const each of protocols) parts.add(`_${named}._${each}`);
    if (locality) parts.add(`${locality}.zone`);
    if (port !== null) parts.add(`p${port}`);
    if (parts.size > MOST) break;
  }
  const [one] = instances.values();
  if (one && /^[0-9.]+$/.test(one.ip) && one.port !== null) parts.add(`ip-${one.ip.replace(/\./g, "-")}-p${one.port}`);
  return names.concat([...parts].map((each) => `${each}.${name}.${zone}`));
}

/** What an rcode means here, in a sentence, and the tone that it has. */
export function meaning(status, answers) {
  const table = {
    NOERROR: answers ? ["healthy", "The name is there, and this is what clients get."] : ["suspect", "The name is there, and has no record of this type now (NODATA)."],
    NXDOMAIN: ["unhealthy", "Nobody has ever heard of this name."],
    REFUSED: ["failing", "This server does not answer this question."],
    SERVFAIL: ["failing", "This server cannot answer now."],
  };
  return table[status] ?? ["failing", "This server does not take such a question."];
}
