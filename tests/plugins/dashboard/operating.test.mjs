// What was meant by a question; maintenance on an axis; the audit in words; rates in words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { audited, byWhom } from "../../../discovery/plugins/dashboard/page/js/audited.js";
import { meaning, meant, suggested } from "../../../discovery/plugins/dashboard/page/js/dig.js";
import { last, latency, most, rate, share, times, total } from "../../../discovery/plugins/dashboard/page/js/rates.js";
import { Table } from "../../../discovery/plugins/dashboard/page/js/table.js";
import { placed, spans, tickText, ticks } from "../../../discovery/plugins/dashboard/page/js/windows.js";

test("what was meant can be asked for", () => {
  const slip = (text) => ({ explained: [{ code: 0, meaning: "Other", text }], wholeName: null });
  assert.equal(meant(slip("no service wbe; did you mean web?"), "blue.WBE.svc.local"), "blue.web.svc.local");
  assert.equal(meant(slip("no service wbe"), "wbe.svc.local"), "");
  assert.equal(meant(slip("no service wbe; did you mean web?"), "other.svc.local"), "");
  assert.equal(meant({ explained: [], wholeName: "web.svc.local" }, "web"), "web.svc.local");
});

test("no reply at all is a failure", () => assert.equal(meaning(null, 0)[0], "failing"));

test("names are offered from the table", () => {
  const table = new Table();
  table.put({ id: "1", name: "Web", ip: "10.0.0.1", port: 80, status: "healthy", tags: ["blue"], ports: { metrics: 9100 }, zone: "eu-1" });
  table.put({ id: "2", name: "web-admin", ip: "10.0.0.2", port: 81, status: "healthy" });
  table.put({ id: "3", name: "billing", ip: "10.0.0.3", port: 82, status: "healthy" });
  assert.deepEqual(suggested(table, ["svc.local"], "adm"), ["web-admin.svc.local"]);
  assert.deepEqual(suggested(table, ["svc.local"], "WEB.svc.local."), [
    "Web.svc.local", "_Web._tcp.svc.local", "blue.Web.svc.local", "_metrics._tcp.Web.svc.local", "eu-1.zone.Web.svc.local", "p80.Web.svc.local",
    "ip-10-0-0-1-p80.Web.svc.local", "web-admin.svc.local",
  ]);
  assert.deepEqual(suggested(table, ["svc.local"], "10.0.0.3"), ["3.0.0.10.in-addr.arpa"]);
  assert.equal(suggested(table, ["svc.local"], "").length, 3);
  assert.deepEqual(suggested(new Table(), ["svc.local"], ""), ["svc.local", "_services._dns-sd._udp.svc.local"]);
});

const AT = Date.parse("2026-01-31T12:00:00Z");
const HOUR = 3_600_000;
const iso = (ms) => new Date(ms).toISOString();
const event = (kind, hours, { ip = null, port = null, reason = "r", until = 9, by = "zoe" } = {}) =>
  ({ kind, service: "web", timestamp: iso(AT + hours * HOUR), actor: { name: by }, maintenance: { ip, port, reason, until: iso(AT + until * HOUR) } });

test("windows that are and windows that were", () => {
  const current = [{ serviceName: "Web", ip: null, port: null, reason: "now", until: iso(AT + 2 * HOUR) }, { serviceName: "old", ip: "10.0.0.9", port: 1, reason: "long", until: iso(AT + HOUR) }];
  const events = [
    event("maintenance-begins", -1, { reason: "now", until: 2 }),
    event("maintenance-ends", -3, { reason: "before", until: 5 }),
    event("maintenance-changed", -4, { reason: "before" }),
    event("maintenance-begins", -5, { reason: "before", by: "ada" }),
    event("maintenance-ends", -7, { ip: "10.0.0.1", port: 80, reason: "a disk", until: -8 }),
  ];
  const found = spans(current, events).map(({ service, from, until, over, by, reason }) => [service, from && (from - AT) / HOUR, (until - AT) / HOUR, over, by?.name ?? null, reason]);
  assert.deepEqual(found, [
    ["old", null, 1, false, null, "long"],
    ["Web", -1, 2, false, "zoe", "now"],
    ["web", -5, -3, true, "ada", "before"],
    ["web", null, -8, true, null, "a disk"],
  ]);
});

test("a span is cut to the axis, or not on it", () => {
  const [begin, end] = [AT, AT + 10 * HOUR];
  assert.deepEqual(placed({ from: AT + HOUR, until: AT + 3 * HOUR }, begin, end), { left: 0.1, width: 0.2 });
  assert.deepEqual(placed({ from: null, until: AT + 99 * HOUR }, begin, end), { left: 0, width: 1 });
  assert.equal(placed({ from: AT - 2 * HOUR, until: AT - HOUR }, begin, end), null);
  assert.equal(placed({ from: AT + 11 * HOUR, until: AT + 12 * HOUR }, begin, end), null);
});

test("ticks are whole times, and no more than there is room for", () => {
  for (const hours of [1, 6, 24, 168, 720]) {
    const { step, at } = ticks(AT + 1234, AT + 1234 + hours * HOUR, 9);
    assert.ok(at.length > 1 && at.length <= 10, `${hours} h: ${at.length}`);
    for (const tick of at) assert.equal((tick - new Date(tick).setHours(0, 0, 0, 0)) % Math.min(step, 24 * HOUR), 0);
  }
  assert.equal(tickText(new Date(2026, 0, 2, 14, 0).getTime(), HOUR), "14:00");
  assert.match(tickText(new Date(2026, 0, 2).getTime(), HOUR), /^Fri,? 2$/);
});

test("a line of the audit is what it changed", () => {
  const by = { name: "zoe", address: "10.0.0.7" };
  const before = { name: "web", status: "healthy", draining: false, registeredAt: "x", metadata: { version: "1", gone: 1 } };
  const after = { ...before, status: "draining", draining: true, metadata: { version: "2" } };
  assert.equal(audited({ by, before, after }), "status healthy → draining, draining false → true, metadata.version 1 → 2, metadata.gone 1 → –");
  assert.equal(audited({ by, before: null, after: before }), "new, metadata.version 1, metadata.gone 1");
  assert.equal(audited({ by, before, after: null, error: "x\u202ey" }), "gone, metadata.version 1, metadata.gone 1, x\u202ey");
  assert.equal(audited({ by, before: null, after: null, affected: { instances: 3 } }), "3 instances affected");
  assert.equal(audited({ by, lines: 7 }), "7 lines are missing here");
  assert.deepEqual([byWhom({ by }), byWhom({ by: { name: "", address: "::1" } }), byWhom({ by: {} })], ["zoe at 10.0.0.7", "::1", "nobody"]);
});

test("numbers of the load are short", () => {
  assert.deepEqual([0, 0.44, 3, 12.6, 1234, null].map(rate), ["0", "0.4", "3", "13", "1,234", "–"]);
  assert.deepEqual([0.0075, 0.12, 12.34, 250, 1500, null].map(latency), ["8 µs", "0.12 ms", "12 ms", "250 ms", "1.5 s", "–"]);
  assert.deepEqual([0, 0.2041, null].map(share), ["0 %", "20 %", "–"]);
  const values = [1, null, 4, 2, null];
  assert.deepEqual([last(values), most(values), total(values), last([null])], [2, 4, 7, null]);
  const found = times({ from: "2026-01-31T12:00:00Z", step: 60 });
  assert.deepEqual([found.length, found[0], found[59]], [60, AT / 1000, AT / 1000 + 59 * 60]);
});
