// Text, places, search, streams, rows: the small pure modules.
import assert from "node:assert/strict";
import { test } from "node:test";
import { format, parse } from "../../../discovery/plugins/dashboard/page/js/place.js";
import { Ring } from "../../../discovery/plugins/dashboard/page/js/ring.js";
import { eventTest, groupsWith, instanceTest, matches } from "../../../discovery/plugins/dashboard/page/js/search.js";
import { Parser } from "../../../discovery/plugins/dashboard/page/js/stream.js";
import { Table } from "../../../discovery/plugins/dashboard/page/js/table.js";
import { clock, endpoint, plain, shown, span } from "../../../discovery/plugins/dashboard/page/js/text.js";
import { STATES, stateOf } from "../../../discovery/plugins/dashboard/page/js/table.js";
import { worseGroup, worseInstance } from "../../../discovery/plugins/dashboard/page/js/worst.js";
import { drawn } from "../../../discovery/plugins/dashboard/page/js/windowing.js";

test("hidden characters are seen", () => {
  assert.equal(shown("a\x1b[2Jb\u202ec\u200bd\n"), "a\\x1b[2Jb\\u202ec\\u200bd\\x0a");
  assert.equal(shown("<b>ü 東京</b>"), "<b>ü 東京</b>");
  assert.equal(shown("\ud800x"), "\\ud800x");
  assert.equal(plain({ a: "\u2066" }), '{"a":"\\u2066"}');
});

test("spans have two units at the most", () => {
  const said = [0.9, 59, 60, 125, 3600, 11520, 86400, 180000, -5].map(span);
  assert.deepEqual(said, ["0 s", "59 s", "1 min", "2 min 5 s", "1 h", "3 h 12 min", "1 d", "2 d 2 h", "0 s"]);
});

test("times of another day have their date", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5).getTime();
  assert.equal(clock(at, at), "03:04:05");
  assert.equal(clock(at, at + 86_400_000), "2026-01-02 03:04:05");
});

test("addresses of version 6 are in brackets", () => {
  assert.deepEqual([endpoint("10.0.0.1", 80), endpoint("::1", 80)], ["10.0.0.1:80", "[::1]:80"]);
});

test("a place is its address and the other way round", () => {
  for (const place of [{ view: "services" }, { view: "hosts", q: "a b&c=d", status: "healthy,draining" }]) {
    assert.deepEqual(parse(format(place)), place);
  }
  assert.equal(format({ view: "services", q: "", status: null }), "?");
});

const WEB = { id: "1", name: "web", ip: "10.0.0.1", port: 80, status: "healthy", tags: ["Blue"], metadata: { version: "2.1", deep: { a: [1] } } };

test("every word has to be found, whatever its case", () => {
  assert.ok(instanceTest("BLUE web")(WEB));
  assert.ok(instanceTest("10.0.0.1:80 version=2")(WEB));
  assert.ok(instanceTest('"a":[1]')(WEB));
  assert.ok(!instanceTest("blue red")(WEB));
  assert.equal(instanceTest("  "), null);
  assert.ok(matches("new disk", "A NEW", "disk"));
});

test("services are narrowed by words and statuses that one instance has together", () => {
  const table = new Table();
  table.put(WEB);
  table.put({ ...WEB, id: "2", name: "api", status: "draining", tags: [] });
  const found = (query, ...statuses) => groupsWith(table.serviceList(), query, new Set(statuses)).map(({ key }) => key);
  assert.deepEqual(found(""), ["api", "web"]);
  assert.deepEqual(found("blue"), ["web"]);
  assert.deepEqual(found("", "draining", "failing"), ["api"]);
  assert.deepEqual(found("blue", "draining"), []);
});

test("events are found by what they say and whom they are about", () => {
  const event = { kind: "draining", service: "web", reason: "asked for by ci", actor: { name: "ci", address: "10.9.9.9" }, instance: null, before: WEB };
  for (const query of ["draining", "ci 10.9", "blue"]) assert.ok(eventTest(query)(event));
  assert.ok(!eventTest("red")(event));
});

test("a stream is read however it is cut", () => {
  const text = ':\n\nid: 7\ndata: {"a":1}\n\ndata: x\r\ndata: y\r\n\r\nevent: reset\ndata: {}\n\nid: 9\n\n';
  const expected = [
    { id: "7", event: "message", data: '{"a":1}' },
    { id: null, event: "message", data: "x\ny" },
    { id: null, event: "reset", data: "{}" },
  ];
  for (const size of [1, 2, 3, 7, 1000]) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.feed(text.slice(at, at + size)));
    assert.deepEqual(found, expected, `in pieces of ${size}`);
  }
});

test("a ring keeps the newest", () => {
  const ring = new Ring(3);
  const lists = [1, 2, 3, 4, 5].map((item) => (ring.push(item), ring.list()));
  assert.deepEqual(lists, [[1], [2, 1], [3, 2, 1], [4, 3, 2], [5, 4, 3]]);
});

test("rows that can be seen are drawn, and few others", () => {
  const high = (pixels) => () => pixels;
  assert.deepEqual(drawn(0, 800, 10_000, high(40)), { first: 0, end: 28, before: 0, whole: 400_000 });
  assert.deepEqual(drawn(40_000, 800, 10_000, high(40)), { first: 992, end: 1028, before: 39_680, whole: 400_000 });
  assert.deepEqual(drawn(-500, 300, 5, high(40)), { first: 0, end: 5, before: 0, whole: 200 });
  assert.deepEqual(drawn(1e9, 800, 10, high(40)), { first: 1, end: 10, before: 40, whole: 400 });
  assert.deepEqual(drawn(0, 800, 0, high(40)), { first: 0, end: 0, before: 0, whole: 0 });
  assert.deepEqual(drawn(1000, 100, 100, (at) => (at < 10 ? 100 : 40)), { first: 2, end: 21, before: 200, whole: 4600 });
});

test("who has nobody left stands first, then who lost most, and last who is out by intention; instances by their status", () => {
  const table = new Table();
  const of = { warning: { status: "healthy", warning: true }, lapsed: { status: "unhealthy", lapsedAt: "2026-01-01T00:00:00Z" } };
  const instance = (name, state, at) => ({ ...WEB, status: state, ...of[state], id: `${name} ${state} ${at}`, name });
  const groups = { well: { healthy: 3, lapsed: 9 }, drained: { draining: 3 }, warns: { healthy: 3, warning: 1 }, half: { healthy: 1, unhealthy: 1 }, held: { healthy: 1, suspect: 9 }, lost: { failing: 1, maintenance: 9 }, empty: { lapsed: 1 } };
  for (const [name, counts] of Object.entries(groups)) for (const [state, many] of Object.entries(counts)) for (let at = 0; at < many; at++) table.put(instance(name, state, at));
  assert.deepEqual([...table.serviceList()].sort(worseGroup()).map(({ name }) => name), ["lost", "empty", "half", "held", "warns", "drained", "well"]);
  assert.deepEqual([...table.serviceList()].sort(worseGroup((key) => (key === "well" ? 7 : 0))).map(({ name }) => name), ["lost", "empty", "well", "half", "held", "warns", "drained"]);
  const instances = [...STATES, "of a newer server"].map((state) => instance("a", state, 0));
  assert.deepEqual(instances.sort(worseInstance).map(stateOf), ["of a newer server", "unhealthy", "failing", "suspect", "flapping", "warning", "maintenance", "draining", "lapsed", "healthy"]);
});
