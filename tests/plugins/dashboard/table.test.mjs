// The registry as the page knows it: what events make of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { STATES, Table, octets, stateOf } from "../../../discovery/plugins/dashboard/page/js/table.js";

const one = (id, more = {}) => ({ id, name: "Web", ip: "10.0.0.1", port: 80, status: "healthy", ...more });
const event = (instance, before = null, more = {}) => ({ kind: "x", service: "web", instance, before, ...more });

test("an instance is in its service, at its host and in the counts", () => {
  const table = new Table();
  table.put(one("a"));
  table.put(one("b", { ip: "10.0.0.2", status: "draining" }));
  assert.deepEqual(table.serviceList().map(({ key, name, living }) => [key, name, living]), [["web", "Web", 2]]);
  assert.deepEqual(table.hostList().map(({ key, living }) => [key, living]), [["10.0.0.1", 1], ["10.0.0.2", 1]]);
  assert.equal(table.counts.healthy, 1);
  assert.equal(table.services.get("web").counts.draining, 1);
});

test("a change of status moves the counts and keeps the lists", () => {
  const table = new Table();
  table.put(one("a"));
  const list = table.serviceList();
  table.apply(event(one("a", { status: "unhealthy" }), one("a")), 7);
  assert.equal(table.serviceList(), list);
  assert.equal(list[0].counts.healthy, 0);
  assert.equal(list[0].counts.unhealthy, 1);
  assert.equal(list[0].touched, 7);
});

test("the last one to go takes its service and its host with it", () => {
  const table = new Table();
  table.put(one("a"));
  table.apply(event(null, one("a")));
  assert.equal(table.serviceList().length, 0);
  assert.equal(table.hostList().length, 0);
  assert.equal(table.byId.size, 0);
  assert.equal(table.counts.healthy, 0);
});

test("one that moves to another address leaves no empty host", () => {
  const table = new Table();
  table.put(one("a"));
  table.apply(event(one("a", { ip: "10.0.0.9" }), one("a")));
  assert.deepEqual(table.hostList().map(({ key }) => key), ["10.0.0.9"]);
  assert.equal(table.serviceList()[0].living, 1);
});

test("a service whose last instance takes a name of another case is called that", () => {
  const table = new Table();
  table.put(one("a"));
  table.apply(event(one("a", { name: "WEB" }), one("a")));
  assert.deepEqual(table.serviceList().map(({ key, name, living }) => [key, name, living]), [["web", "WEB", 1]]);
});

test("an event that was in the pages already does no harm", () => {
  const table = new Table();
  table.put(one("a"));
  table.apply(event(one("a")));
  table.apply(event(null, one("gone-before")));
  assert.equal(table.byId.size, 1);
  assert.equal(table.counts.healthy, 1);
});

test("windows begin, change and end, of an instance before those of its service", () => {
  const table = new Table();
  table.put(one("a"));
  const window = (kind, maintenance) => event(null, null, { kind, maintenance });
  const all = { ip: null, port: null, reason: "all", until: "2030-01-01T00:00:00Z" };
  table.apply(window("maintenance-begins", all));
  assert.equal(table.windowOf(one("a")).reason, "all");
  table.apply(window("maintenance-begins", { ...all, ip: "10.0.0.1", port: 80, reason: "one" }));
  assert.equal(table.windowOf(one("a")).reason, "one");
  table.apply(window("maintenance-ends", { ...all, ip: "10.0.0.1", port: 80 }));
  table.apply(window("maintenance-ends", all));
  assert.equal(table.windowOf(one("a")), null);
});

test("addresses are in the order of their numbers", () => {
  const table = new Table();
  for (const [at, ip] of ["10.0.0.10", "10.0.0.9", "2001:db8::2", "2001:db8::10", "::1"].entries()) table.put(one(String(at), { ip }));
  assert.deepEqual(table.hostList().map(({ key }) => key), ["10.0.0.9", "10.0.0.10", "::1", "2001:db8::2", "2001:db8::10"]);
  assert.deepEqual(octets("2001:db8::2"), [6, 0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]);
});

test("whatever happens, the counts are what is counted", () => {
  const table = new Table();
  let seed = 7;
  const draw = (below) => (seed = (seed * 48271) % 2147483647) % below;
  const states = [{ status: "healthy" }, { status: "healthy", warning: true }, { status: "unhealthy" }, { status: "unhealthy", lapsedAt: "x" }, { status: "suspect", warning: true }];
  for (let step = 0; step < 5000; step++) {
    const it = one(`i${draw(40)}`, { name: `s${draw(5)}`, ip: `10.0.0.${draw(5)}`, ...states[draw(5)] });
    if (draw(3)) table.apply(event(it));
    else table.apply(event(null, it));
  }
  for (const groups of [table.services, table.hosts]) {
    let sum = 0;
    for (const group of groups.values()) {
      assert.ok(group.instances.size > 0);
      sum += group.instances.size;
      for (const state of STATES) {
        assert.equal(group.counts[state], [...group.instances.values()].filter((it) => stateOf(it) === state).length);
      }
      assert.equal(group.living, group.instances.size - group.counts.lapsed);
      assert.equal(group.healthy, [...group.instances.values()].filter((it) => it.status === "healthy").length);
    }
    assert.equal(sum, table.byId.size);
  }
});

test("a host name, no port and a name of any letters are one instance, one host and one window, however they are spelt", () => {
  const table = new Table();
  table.put(one("a", { name: "Örders DB", ip: "DB.Example.com.", port: null }));
  table.put(one("b", { name: "ÖRDErs db", ip: "db.example.COM", port: 80 }));
  table.put(one("c", { ip: "10.0.0.1" }));
  table.put(one("d", { ip: "2001:db8::1" }));
  assert.deepEqual([...table.services.keys()], ["Örders db", "web"]);
  assert.deepEqual(table.hostList().map(({ key, instances }) => [key, instances.size]), [["10.0.0.1", 1], ["2001:db8::1", 1], ["db.example.com", 2]]);
  table.putWindow("Örders db", "db.example.com", null, "a new disk", "2026-01-31T12:00:00Z");
  assert.equal(table.windowOf(one("a", { name: "Örders DB", ip: "DB.Example.com.", port: null })).reason, "a new disk");
  assert.equal(table.windowOf(one("b", { name: "Örders DB", ip: "db.example.com", port: 80 })), null);
});
