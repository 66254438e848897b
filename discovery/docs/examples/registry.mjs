// This process in the registry, and others found there, kept fresh while registries come and go. Node 18 or newer, or a browser: nothing
// to install. Types are in registry.d.mts beside this file. Both functions take `{ url, token }` last; without them the environment says.

const env = globalThis.process?.env ?? {};
const REST = 30_000; // milliseconds within which two failures let an instance rest, and for how long
const GRACE = 10_000; // a usual lease: who lives has registered again by then at a registry that has begun anew
const LONGEST = 3_600_000;
const FOR_GOOD = [400, 401, 403, 409];

/** {status, index, body} of an answer in JSON. `ms`: for all of it; `signal`: ends it at once. (AbortSignal.any would leak with each.) */
async function ask({ url, token }, method, path, { body, ms = 5000, signal } = {}) {
  const limit = new AbortController();
  const end = () => limit.abort();
  signal?.throwIfAborted();
  const timer = setTimeout(end, ms);
  signal?.addEventListener("abort", end);
  try {
    const headers = { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) };
    const reply = await fetch(url.replace(/\/$/, "") + path, { method, headers, body: body && JSON.stringify(body), signal: limit.signal });
    return { status: reply.status, index: Number(reply.headers.get("X-Registry-Index")), body: await reply.json() };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

const place = (options) => ({ url: env.DISCOVERY_URL ?? "http://127.0.0.1:3100", token: env.DISCOVERY_TOKEN, ...options });
const refusal = ({ status, body }) => Object.assign(new Error(body?.message ?? `it answers ${status}`), { status });

/** `ms`, or until `signal`. */
const pause = (ms, signal) => new Promise((done) => {
  const over = () => (clearTimeout(timer), signal.removeEventListener("abort", over), done());
  const timer = setTimeout(over, ms);
  signal.addEventListener("abort", over);
});

/** A promise with what settles it. Nobody needs to wait for it: its failure is no unhandled one. */
function promised() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {});
  return made;
}

/** The same text is said once, not with each attempt. */
function teller() {
  let last = "";
  return (text) => text !== last && (last = text) && console.error(text);
}

/** The address by which we speak to the registry; never what our own name resolves to. */
async function localAddress(url) {
  if (!globalThis.process?.versions?.node) throw new Error("a browser does not know its own address: give `ip`");
  const { connect } = await import("node:net");
  const { hostname, port, protocol } = new URL(url);
  return new Promise((done, fail) => {
    const socket = connect(port || (protocol === "https:" ? 443 : 80), hostname.replace(/[[\]]/g, ""));
    socket.once("connect", () => (done(socket.localAddress), socket.destroy())).once("error", fail);
  });
}

/** Registers, beats, and registers again when the registry has forgotten. */
export function register(name, port, fields = {}, options = {}) {
  const [at, instance, ending, ready, say] = [place(options), { name, port, ...fields }, new AbortController(), promised(), teller()];
  let registered = false, timer, beating, stopping;
  async function speak() {
    if (registered) return ask(at, "PUT", "/instances", { body: instance, signal: ending.signal });
    const reply = await ask(at, "POST", "/registrations", { body: { instances: [instance] }, signal: ending.signal });
    const { results: [result] = [], heartbeatIntervalMs } = reply.body;
    return result ? { ...reply, status: result.status, body: result.status < 300 ? { heartbeatIntervalMs } : result } : reply;
  }
  async function beat() {
    let next = 1000;
    try {
      instance.ip ??= await localAddress(at.url);
      const reply = await speak();
      const { status, body } = reply;
      if (status < 300) ready.resolve();
      else if (FOR_GOOD.includes(status)) ready.reject(refusal(reply));
      say(status < 300 || status === 404 ? "" : `${name} is not registered: ${body.message}`);
      const wanted = body.heartbeatIntervalMs ?? body.retryAfterMs ?? (registered ? 0 : next);
      if (wanted >= 0) next = Math.min(wanted, LONGEST); // a timer takes what is larger for 0
      registered = status < 300;
    } catch (error) {
      if (!stopping) say(`the registry is away, ${name} is tried again: ${error.cause ?? error}`);
    }
    if (!stopping) timer = setTimeout(() => (beating = beat()), next);
  }
  beating = beat();
  const stop = async () => {
    clearTimeout(timer);
    ready.reject(new Error(`${name} was stopped`));
    await Promise.race([beating, pause(1000, ending.signal)]); // what is under way would register it again behind our back
    ending.abort();
    if (!instance.ip) return;
    const path = `/services/${encodeURIComponent(name)}/instances?ip=${encodeURIComponent(instance.ip)}&port=${port ?? ""}`;
    await ask(at, "DELETE", path, { ms: 2000 }).catch(() => {}); // else the lease ends
  };
  function report(health, output = "") {
    Object.assign(instance, { health, output });
    return (beating = beating.then(() => stopping ?? (clearTimeout(timer), beat())));
  }
  async function reportCheck(check, health, output = "") {
    await ready.promise; // the registry knows its checks from then on
    const { ip } = instance;
    const body = { instances: [{ name, ip, port, checks: { [check]: { health, output } } }] };
    const reply = await ask(at, "POST", "/heartbeats", { body, signal: ending.signal });
    if (reply.status >= 300 || reply.body.unknown.length) throw refusal({ ...reply, body: reply.body.unknown?.[0] ?? reply.body });
  }
  return { ready: ready.promise, report, reportCheck, stop: () => (stopping ??= stop()) };
}

/** Of one that warns, by itself or a check of it: its small share. */
const hasItsTurn = ({ warning, weight = 100, warningWeight = 1 }) => !warning || Math.random() * weight < warningWeight;

/** A list that is kept fresh by long polls: the last good one while the registry is away. */
export function follow(name, options = {}) {
  const [at, ending, ready, say, failures] = [place(options), new AbortController(), promised(), teller(), new Map()];
  let near = new Set(); // those of this client's zone, and who helps there (the registry's CLIENT_ZONES)
  let index = 0, turn = 0, certain = false, emptySince = null; // `certain`: nothing was missed since the last answer
  const key = ({ ip, port }) => `${ip} ${port}`;
  const list = {
    instances: [],
    ready: ready.promise,
    next() {
      const awake = list.instances.filter((each) => !(failures.get(key(each))?.until > Date.now()));
      const some = awake.length ? awake : list.instances; // one that may fail is better than none
      const healthy = some.filter(({ status }) => status === "healthy");
      const ours = healthy.filter((each) => near.has(each));
      const chosen = [ours.filter(hasItsTurn), ours, healthy.filter(hasItsTurn), healthy, some].find(({ length }) => length) ?? [];
      return chosen[turn++ % chosen.length];
    },
    failed(instance) {
      const [before, now] = [failures.get(key(instance)), Date.now()];
      failures.set(key(instance), { at: now, until: before && now - before.at <= REST ? now + REST : 0 });
    },
    async retry(use, times = 3) {
      for (await list.ready; ; ) {
        const instance = list.next();
        if (!instance) throw new Error(`no instance of ${name} is registered and healthy`);
        try {
          return await use(instance);
        } catch (error) {
          list.failed(instance);
          if (--times <= 0) throw error;
        }
      }
    },
    stop() {
      ending.abort();
      ready.reject(new Error(`${name} is no longer followed`));
    },
  };

  /** An empty answer is not believed where something may have been missed: a registry that has just begun anew knows nobody yet. */
  function take({ index: newest, body: { instances: found = [], zone } }) {
    if (!Array.isArray(found)) throw new Error("what answers is no registry");
    certain &&= newest >= index;
    if (found.length || certain || !list.instances.length) emptySince = null;
    else if (Date.now() - (emptySince ??= Date.now()) >= GRACE) emptySince = null;
    certain = emptySince === null;
    index = certain ? newest : 0;
    if (certain) [list.instances, near] = [found, new Set(found.slice(0, zone?.first))];
    const there = new Set(list.instances.map(key));
    for (const each of failures.keys()) if (!there.has(each)) failures.delete(each);
    ready.resolve();
  }

  (async () => {
    for (const { signal } = ending; !signal.aborted; ) {
      try {
        const reply = await ask(at, "GET", `/resolve/${encodeURIComponent(name)}?index=${index}&wait=30s`, { ms: 40_000, signal });
        if (![200, 404].includes(reply.status)) throw refusal(reply);
        take(reply);
        say("");
        if (certain) continue;
      } catch (error) {
        if (signal.aborted) return;
        [index, certain] = [0, false]; // another registry, or one that has started again, counts anew
        if (FOR_GOOD.includes(error.status)) ready.reject(error);
        say(`${name} is not read, and asked for again: ${error.cause ?? error.message}`);
      }
      await pause(1000, signal);
    }
  })();
  return list;
}
