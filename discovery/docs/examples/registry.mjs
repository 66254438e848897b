// This process in the registry, and others found there. Node 18 or newer, nothing to install.
import { connect } from "node:net";

const { DISCOVERY_URL: registry = "http://127.0.0.1:3100", DISCOVERY_TOKEN: token } = process.env;
const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function ask(method, path, body, ms = 5000) {
  const options = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(ms) };
  const reply = await fetch(registry + path, options);
  return { status: reply.status, index: Number(reply.headers.get("X-Registry-Index")), body: await reply.json() };
}

// The address by which we speak to the registry; never what our own name resolves to.
function localAddress() {
  const { hostname, port, protocol } = new URL(registry);
  return new Promise((done, fail) => {
    const socket = connect(port || (protocol === "https:" ? 443 : 80), hostname.replace(/[[\]]/g, ""));
    socket.once("connect", () => (done(socket.localAddress), socket.destroy())).once("error", fail);
  });
}

// Registers, beats, and registers again when the registry has forgotten. Returns what deregisters: stop serving after it.
export async function register(name, port, fields = {}) {
  const instance = { name, port, ...fields };
  let registered = false, stopped = false, timer, beating, last;
  const say = (text) => text !== last && (last = text) && console.error(text); // once, not each second
  async function beat(next = 1000) {
    try {
      instance.ip ??= await localAddress();
      const { status, body } = await ask("POST", registered ? "/heartbeat" : "/register", instance);
      say(status < 300 || status === 404 ? "" : `${name} is not registered: ${body.message}`);
      next = body.heartbeatIntervalMs ?? body.retryAfterMs ?? (registered ? 0 : next);
      registered = status < 300;
    } catch (error) {
      say(`the registry is away, ${name} is tried again: ${error.cause ?? error}`);
    }
    if (!stopped) timer = setTimeout(() => (beating = beat()), next);
  }
  await (beating = beat());
  return async () => {
    clearTimeout(timer, (stopped = true));
    await beating;
    await ask("DELETE", `/services/${name}/instances?ip=${instance.ip}&port=${port}`).catch(() => {}); // else the lease ends
  };
}

// A list that is kept fresh by long polls; the last good one while the registry is away. `next()`: one after the other.
export function follow(name) {
  let index = 0, turn = 0, stopped = false;
  const list = { instances: [], next: () => list.instances[turn++ % list.instances.length], stop: () => (stopped = true) };
  (async () => {
    for (; !stopped; ) {
      const reply = await ask("GET", `/resolve/${name}?index=${index}&wait=30s`, undefined, 40_000).catch(() => null);
      if ([200, 404].includes(reply?.status)) ({ index, body: { instances: list.instances = [] } } = reply);
      else await sleep(1000, (index = 0)); // another registry, or one that has started again, counts anew
    }
  })();
  return list;
}
