// The registry as this page knows it: services, their instances, hosts, windows. Pure; `live.js` fills it and keeps it.
//
// Instances are the server's JSON, never changed: a change puts another in its place. Counts are kept in step, so that nothing is counted
// anew for a page that shows forty rows of ten thousand.

// What an instance is, in one word: its status, but for healthy ones that warn, by themselves or a check, and those that are known after
// their lease.
export const STATES = ["healthy", "warning", "suspect", "flapping", "failing", "unhealthy", "maintenance", "draining", "lapsed"];

export const stateOf = ({ status, warning, lapsedAt }) => (lapsedAt ? "lapsed" : status === "healthy" && warning ? "warning" : status);

/** Names are compared by ASCII case, and host names without their final dot, too. */
export const fold = (name) => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
export const foldedAddress = (ip) => fold(ip).replace(/\.$/, "");

const zeros = () => Object.fromEntries(STATES.map((state) => [state, 0]));

/** Some instances, by id: those of a service or of a host. `counts`: by state. `touched`: when one changed last, epoch milliseconds. */
class Group {
  constructor(name) {
    this.name = name;
    this.instances = new Map();
    this.counts = zeros();
    this.touched = 0;
  }

  /** How many there are, without those that are known after their lease. */
  get living() {
    return this.instances.size - this.counts.lapsed;
  }

  get healthy() {
    return this.counts.healthy + this.counts.warning;
  }
}

export class Table {
  constructor() {
    this.services = new Map(); // by folded name
    this.hosts = new Map(); // by folded address
    this.byId = new Map();
    this.windows = new Map();
    this.counts = zeros();
    this.sorted = new Map(); // lists of groups by what they are of; dropped when one comes or goes
  }

  /** An instance as GET /services and /events show it. `at`: epoch milliseconds, 0 for what is no news. */
  put(instance, at = 0) {
    const before = this.byId.get(instance.id);
    if (before && before.ip === instance.ip && before.name === instance.name) return this.#replace(before, instance, at);
    if (before) this.#take(before.id, 0);
    this.byId.set(instance.id, instance);
    this.#join(this.services, fold(instance.name), instance.name, instance, at);
    this.#join(this.hosts, foldedAddress(instance.ip), instance.ip, instance, at);
    this.#counted(this, instance, 1);
    if (before) this.#tidy();
  }

  /** A service of that name changed at that time. */
  touch(name, at) {
    const service = this.services.get(fold(name));
    if (service) service.touched = at;
  }

  remove(id, at = 0) {
    this.#take(id, at);
    this.#tidy();
  }

  /** An event of /events. */
  apply(event, at = 0) {
    if (event.maintenance) this.#window(event);
    if (event.instance) this.put(event.instance, at);
    else if (event.before) this.remove(event.before.id, at);
  }

  /** Of GET /maintenance. */
  putWindow(serviceName, ip, port, reason, until) {
    const window = { serviceName, ip: ip ?? null, port: port ?? null, reason, until };
    this.windows.set(scope(serviceName, ip, port), window);
  }

  /** That keeps an instance out of answers: its own, or its service's. */
  windowOf(instance) {
    return this.windows.get(scope(instance.name, instance.ip, instance.port)) ?? this.serviceWindow(instance.name);
  }

  /** The one of the whole service, by its folded name. */
  serviceWindow(service) {
    return this.windows.get(scope(service)) ?? null;
  }

  serviceList() {
    return this.#list("services", (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }

  hostList() {
    return this.#list("hosts", (a, b) => compared(a.octets, b.octets));
  }

  #list(what, order) {
    let found = this.sorted.get(what);
    if (!found) this.sorted.set(what, (found = [...this[what].values()].sort(order)));
    return found;
  }

  #window({ kind, service, maintenance: { ip, port, reason, until } }) {
    if (kind === "maintenance-ends") this.windows.delete(scope(service, ip, port));
    else this.putWindow(this.services.get(service)?.name ?? service, ip, port, reason, until);
  }

  /** In its place: maps from which is taken and to which is added again and again grow. */
  #replace(before, after, at) {
    this.byId.set(after.id, after);
    for (const group of [this, this.services.get(fold(after.name)), this.hosts.get(foldedAddress(after.ip))]) {
      group.instances?.set(after.id, after);
      if (at) group.touched = at;
      this.#counted(group, before, -1);
      this.#counted(group, after, 1);
    }
  }

  #join(groups, key, name, instance, at) {
    let group = groups.get(key);
    if (!group) {
      groups.set(key, (group = new Group(name)));
      group.key = key;
      if (groups === this.hosts) group.octets = octets(key);
      this.sorted.delete(groups === this.hosts ? "hosts" : "services");
    }
    if (!group.instances.size) group.name = name; // its last one may come back in another case
    group.instances.set(instance.id, instance);
    if (at) group.touched = at;
    this.#counted(group, instance, 1);
  }

  #take(id, at) {
    const instance = this.byId.get(id);
    if (!instance) return;
    this.byId.delete(id);
    this.#counted(this, instance, -1);
    for (const group of [this.services.get(fold(instance.name)), this.hosts.get(foldedAddress(instance.ip))]) {
      if (!group?.instances.delete(id)) continue;
      this.#counted(group, instance, -1);
      if (at) group.touched = at;
      if (!group.instances.size) (this.empty ??= new Set()).add(group);
    }
  }

  /** Groups that have nobody left. One that is filled again in the same step stays where it is. */
  #tidy() {
    for (const group of this.empty ?? []) {
      if (group.instances.size) continue;
      const of = group.octets ? "hosts" : "services";
      if (this[of].get(group.key) === group) this[of].delete(group.key);
      this.sorted.delete(of);
    }
    this.empty = null;
  }

  #counted(group, instance, by) {
    const state = stateOf(instance);
    group.counts[state] = (group.counts[state] ?? 0) + by;
  }
}

/** What a window is for, as text to compare. */
export const scope = (service, ip, port) => `${fold(service)} ${foldedAddress(ip ?? "")} ${port ?? ""}`;

/** Whether a service of that name can be asked for over DNS. */
export const isLabel = (name) => /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(name);

/** An address as numbers to compare: IPv4 before IPv6, and host names, by their letters, behind both. */
export function octets(ip) {
  if (!ip.includes(":") && !/\.[0-9]+$/.test(ip)) return [7, ...[...foldedAddress(ip)].map((letter) => letter.charCodeAt(0)), 0];
  if (!ip.includes(":")) return [4, ...ip.split(".").map(Number)];
  const [head, tail] = ip.split("::");
  const groups = (text) => (text ? text.split(":") : []);
  const [first, last] = [groups(head), groups(tail)];
  const middle = tail === undefined ? [] : Array(Math.max(0, 8 - first.length - last.length)).fill("0");
  return [6, ...[...first, ...middle, ...last].map((group) => parseInt(group, 16))];
}

/** Of two that `octets` gave, as `sort` wants it. */
export function compared(a, b) {
  for (let at = 0; at < a.length; at++) {
    const difference = a[at] - b[at];
    if (difference) return difference;
  }
  return 0;
}
