// A line of the audit in words: what it changed, as `discovery audit` says it. Pure.
import { plain } from "./text.js";

// Never shown, and not shown where they are as usual.
const NEVER = new Set(["name", "registeredAt", "listed", "more"]);
const USUAL = { draining: "false", metadata: "{}", status: "healthy" };

export const byWhom = ({ by }) => [by.name, by.address].filter(Boolean).join(" at ") || "nobody";

export function audited(line) {
  const said = [];
  if (line.lines !== undefined) said.push(`${line.lines} lines are missing here`);
  said.push(...difference(line.before ?? null, line.after ?? null));
  if (line.affected) said.push(`${line.affected.instances} instances affected`);
  if (line.evicted) said.push("one made way");
  if (line.error) said.push(line.error);
  return said.join(", ");
}

function difference(before, after) {
  if (!before && !after) return [];
  if (!before || !after) {
    const all = flat(before ?? after).filter(([name, value]) => USUAL[name] !== value);
    return [before ? "gone" : "new", ...all.map(([name, value]) => `${name} ${value}`)];
  }
  const [old, now] = [new Map(flat(before)), new Map(flat(after))];
  const names = [...new Set([...old.keys(), ...now.keys()])];
  return names.filter((name) => old.get(name) !== now.get(name)).map((name) => `${name} ${old.get(name) ?? "–"} → ${now.get(name) ?? "–"}`);
}

/** Metadata by its keys. */
function flat(fields) {
  return Object.entries(fields).filter(([name]) => !NEVER.has(name)).flatMap(([name, value]) =>
    name === "metadata" && value && typeof value === "object" && Object.keys(value).length
      ? Object.entries(value).map(([key, inner]) => [`metadata.${key}`, plain(inner)])
      : [[name, plain(value ?? "–")]],
  );
}
