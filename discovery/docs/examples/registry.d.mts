// What registry.mjs exports, for TypeScript.

/** `url`: of the registry, DISCOVERY_URL or http://127.0.0.1:3100 where it is not given. `token`: DISCOVERY_TOKEN. */
export interface Options {
  url?: string;
  token?: string;
}

/** What a service may say of its health. */
export type Health = "passing" | "warning" | "failing";

/** The optional fields of PUT /instances. `ip`: or a host name; it has to be given in a browser. */
export interface Fields {
  ip?: string;
  id?: string;
  replace?: boolean;
  metadata?: Record<string, unknown>;
  tags?: string[];
  ports?: Record<string, number>;
  protocol?: string | string[];
  weight?: number;
  priority?: number;
  warningWeight?: number;
  zone?: string;
  ttl?: number;
  keep?: number;
  hold?: number;
  health?: Health;
  output?: string;
  maxAnswers?: number;
  check?: Record<string, unknown>;
  checks?: Record<string, unknown>[];
}

/** `ready`: once it is registered; an error with `status` when the registry refuses for good (400, 401, 403, 409), which is tried again
 * all the same. `report`: what it says of itself from now on, with each heartbeat. `reportCheck`: what one of its `ttl` checks found, to be
 * said anew within its `ttl` each time: heartbeats do not repeat it. An error when it is not taken. `stop`: deregisters, within 3 s: stop serving after it. */
export interface Registration {
  readonly ready: Promise<void>;
  report(health: Health, output?: string): Promise<void>;
  reportCheck(check: string, health: Health, output?: string): Promise<void>;
  stop(): Promise<void>;
}

export interface Instance {
  readonly id: string;
  readonly ip: string; // or a host name
  readonly port: number | null; // null: it has none
  readonly status: "healthy" | "suspect" | "flapping";
  readonly lastHeartbeat: string;
  readonly registeredAt: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tags?: readonly string[];
  readonly ports?: Readonly<Record<string, number>>;
  readonly protocol?: string | readonly string[];
  readonly weight?: number;
  readonly priority?: number;
  readonly warningWeight?: number;
  readonly zone?: string;
  readonly importedFrom?: string;
  readonly health?: Health;
  readonly warning?: boolean;
  readonly output?: string;
}

/** `ready`: once it was read; an error with `status` as of a registration. */
export interface List {
  readonly instances: readonly Instance[];
  readonly ready: Promise<void>;
  /** One after the other: the healthy where there are some, and none that rests; who warns has a small share. undefined: nobody is there. */
  next(): Instance | undefined;
  /** It took no connection: twice in 30 s, and it rests for 30 s. */
  failed(instance: Pick<Instance, "ip" | "port">): void;
  /** What `use` gives. Where that fails the instance has failed, and another is tried: `times` in all, 3 where it is not given. */
  retry<T>(use: (instance: Instance) => T | Promise<T>, times?: number): Promise<T>;
  /** At once: also what waits. */
  stop(): void;
}

/** `port` null: it has none. */
export function register(name: string, port: number | null, fields?: Fields, options?: Options): Registration;
export function follow(name: string, options?: Options): List;
