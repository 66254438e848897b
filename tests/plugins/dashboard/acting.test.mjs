// What is said before somebody acts, and the addresses in the lines to copy.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ofDeregistration, ofDrain, ofEndMaintenance, ofMaintenance, ofUndrain, served } from "../../../discovery/plugins/dashboard/page/js/consequences.js";
import { dnsPlace } from "../../../discovery/plugins/dashboard/page/js/dns_place.js";
import { Table } from "../../../discovery/plugins/dashboard/page/js/table.js";

const DNS = { ttl: 5, negativeTtl: 2 };

function web(...statuses) {
  const table = new Table();
  for (const [at, status] of statuses.entries()) table.put({ id: String(at), name: "web", ip: "10.0.0.1", port: at, status });
  const service = table.services.get("web");
  return { service, first: service.instances.get("0") };
}

const text = ({ lines }) => lines.join("\n");

test("who stays in the answers is counted", () => {
  const { service, first } = web("healthy", "healthy", "suspect", "draining");
  assert.match(text(ofDrain(service, first, DNS)), /no longer have it\. 2 instances of web stay in them/);
  assert.match(text(ofDrain(service, first, DNS)), /caches may still hand it out for up to 5 s/);
  assert.equal(ofDrain(service, first, DNS).empties, false);
});

test("of the last one it is said that nobody is left, and what DNS then says", () => {
  const { service, first } = web("healthy", "unhealthy");
  const drained = ofDrain(service, first, DNS);
  assert.ok(drained.empties);
  assert.match(text(drained), /NODATA, which caches keep for 2 s, and GET \/resolve\/web is a 404/);
  assert.match(text(ofDeregistration(service, first, DNS)), /NODATA/);
  const alone = web("healthy");
  assert.match(text(ofDeregistration(alone.service, alone.first, DNS)), /NXDOMAIN/);
  assert.match(text(ofDeregistration(service, null, DNS)), /NXDOMAIN/);
  assert.match(text(ofMaintenance(service, null, DNS)), /NODATA[^]*register later/);
});

test("of one that is in no answer it is said that clients see no change", () => {
  const { service } = web("healthy", "draining");
  const out = ofDeregistration(service, service.instances.get("1"), DNS);
  assert.match(text(out), /Clients see no change/);
  assert.ok(!out.empties);
});

test("those who flap are in the answers where there is nobody else", () => {
  assert.equal(served(web("flapping", "flapping").service), 2);
  assert.equal(served(web("flapping", "healthy").service), 1);
  const { service, first } = web("flapping", "healthy");
  assert.match(text(ofDrain(service, first, DNS)), /no change/);
});

test("no late heartbeat brings back what was deregistered", () => {
  const { service, first } = web("healthy");
  assert.match(text(ofDeregistration(service, first, DNS)), /No late heartbeat[^]*INSTANCE_DEREGISTERED/);
});

test("what keeps one out besides is said", () => {
  const { first } = web("draining");
  assert.match(text(ofUndrain(first, { reason: "x" })), /maintenance besides/);
  assert.match(text(ofUndrain({ ...first, checkFailure: "refused" }, null)), /checks of it fail/);
  assert.match(text(ofUndrain(first, null)), /new answers at once/);
  assert.match(text(ofEndMaintenance(first, true)), /ends for all/);
});

test("DNS is asked where it listens, and where the page is when it listens everywhere", () => {
  const stats = (...listening) => ({ dns: { listening, domains: ["svc.local"], ttlSeconds: 7, negativeTtlSeconds: 3 } });
  const at = (page, ...listening) => {
    const { host, port } = dnsPlace(stats(...listening), page);
    return `${host} ${port}`;
  };
  assert.equal(at("10.0.0.5", { ip: "0.0.0.0", port: 53 }), "10.0.0.5 53");
  assert.equal(at("[2001:db8::5]", { ip: "::", port: 53 }), "2001:db8::5 53");
  assert.equal(at("registry.example", { ip: "10.1.1.1", port: 8600 }), "10.1.1.1 8600");
  assert.equal(at("127.0.0.1", { ip: "10.1.1.1", port: 1 }, { ip: "127.0.0.1", port: 2 }), "127.0.0.1 2");
  assert.deepEqual(dnsPlace(null, "x").domains, ["svc.local"]);
  assert.equal(dnsPlace(stats({ ip: "::", port: 1 }), "x").ttl, 7);
});
