// The table is kept in step with the server: what is cut, silent or of another life of the server is noticed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, server, stream, until } from "./browser.mjs";

const SCRIPTS = "../../../discovery/plugins/dashboard/page/js";
const { Away, get } = await import(`${SCRIPTS}/api.js`);
const { restart, start } = await import(`${SCRIPTS}/live.js`);
const { connection, store } = await import(`${SCRIPTS}/store.js`);
const { messages } = await import(`${SCRIPTS}/stream.js`);

const instance = (id) => ({ id, name: "web", ip: "10.0.0.1", port: 80, status: "healthy" });

test("an answer that was cut, or is a proxy's page, is none", async () => {
  server.clear();
  server.set("stats", () => new Response('{"instancesByStatus": {'));
  await assert.rejects(get("stats"), Away);
});

test("a reader's clock that is wrong by hours is put right by the first answer, and not a second later", async () => {
  const { now } = await import(`${SCRIPTS}/clock.js`);
  server.set("stats", () => json({ timestamp: new Date(Date.now() - 3 * 3_600_000).toISOString() }));
  await get("stats");
  assert.ok(Math.abs(now.value - (Date.now() - 3 * 3_600_000)) < 1000);
});

test("a stream that says nothing, no comment either, is over", async (t) => {
  const apis = ["setTimeout"]; // Node 18, as Debian 12 has it, takes the list itself
  t.mock.timers.enable(process.version.startsWith("v18.") ? apis : { apis });
  const it = stream();
  const heard = [];
  let over = false;
  const reading = messages(it.response, (found) => heard.push(...found), 1000).then(() => (over = true));
  it.say("data: 1\n\n");
  await until(() => heard.length === 1);
  t.mock.timers.tick(900);
  it.say(":\n\n");
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(900);
  assert.equal(over, false);
  t.mock.timers.tick(200);
  await reading;
  await until(() => it.cancelled);
});

test("after a restart without memory everything is read anew, and the stream that said so is let go", async () => {
  server.clear();
  const streams = [];
  let life = 1;
  server.set("services", () => json({ services: { web: { instances: [instance(`of-life-${life}`)] } }, next: null }, { "X-Registry-Index": "50" }));
  server.set("maintenance", () => json({ windows: [] }));
  server.set("events", (headers, signal) => {
    streams.push(stream({ "X-Registry-Log-Start": String(life) }, signal));
    return streams.at(-1).response;
  });
  start();
  await until(() => connection.value.state === "live" && streams.length === 1);
  life = 2;
  restart();
  await until(() => store.table.byId.has("of-life-2") && streams.length === 3);
  await until(() => streams[1].cancelled);
  await until(() => connection.value.state === "live");
  assert.equal(streams[2].cancelled, false);
  streams[2].say(`id: 51\ndata: ${JSON.stringify({ kind: "registered", timestamp: "2026-01-31T12:00:00.000Z", service: "web", instance: instance("b"), before: null })}\n\n`);
  await until(() => store.table.byId.has("b"));
  assert.equal(store.table.services.get("web").touched, Date.parse("2026-01-31T12:00:00.000Z")); // it may have happened while the page was hidden
  life = 51; // what a server without memory begins at may be just what was seen
  restart();
  await until(() => store.table.byId.has("of-life-51"));
  document.hidden = true;
  restart();
});

test("a refusal is no silence, and is waited out as long as the server wants, within reason", async () => {
  document.hidden = false;
  for (const [retryAfter, least, most] of [[5, 5, 6], [1e12, 60, 61], ["soon", 0, 1], [-9, 0, 1]]) {
    server.set("events", () => new Response(JSON.stringify({ message: "too many watchers", retryAfter }), { status: 429 }));
    restart();
    connection.value = { state: "loading" };
    const { status, message, retryAt, since } = await until(() => connection.value.state === "busy" && connection.value);
    assert.deepEqual([status, message], [429, "too many watchers"]);
    const seconds = (retryAt - since) / 1000;
    assert.ok(least <= seconds && seconds <= most, `${retryAfter}: ${seconds}`);
  }
  document.hidden = true;
  document.dispatchEvent(new Event("visibilitychange"));
});
