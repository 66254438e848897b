// What registry.mjs exports, for TypeScript.

/** `url`: of the registry, DISCOVERY_URL or http://127.0.0.1:3100 where it is not given. `token`: DISCOVERY_TOKEN. */
export interface Options {
  url?: string;
  token?: string;
}

/** The optional fields of POST /register. `ip` has to be given in a browser. */
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
  zone?: string;
  ttl?: number;
  maxAnswers?: number;
  check?: Record<string, unknown>;
}

/** `ready`: once it is registered; an error with `status` when the registry refuses for good (400, 401, 403, 409), which is tried again
 * all the same. `stop`: deregisters, within 3 s: stop serving after it. */
export interface Registration {
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

export interface Instance {
  readonly id: string;
  readonly ip: string;
  readonly port: number;
  readonly status: "healthy" | "suspect" | "flapping";
  readonly lastHeartbeat: string;
  readonly registeredAt: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tags?: readonly string[];
  readonly ports?: Readonly<Record<string, number>>;
  readonly protocol?: string | readonly string[];
  readonly weight?: number;
  readonly priority?: number;
  readonly zone?: string;
}

/** `ready`: once it was read; an error with `status` as of a registration. */
export interface List {
  readonly instances: readonly Instance[];
  readonly ready: Promise<void>;
  /** One after the other: the healthy where there are some, and none that rests. undefined: nobody is there. */
  next(): Instance | undefined;
  /** It took no connection: twice in 30 s, and it rests for 30 s. */
  failed(instance: Pick<Instance, "ip" | "port">): void;
  /** What `use` gives. Where that fails the instance has failed, and another is tried: `times` in all, 3 where it is not given. */
  retry<T>(use: (instance: Instance) => T | Promise<T>, times?: number): Promise<T>;
  /** At once: also what waits. */
  stop(): void;
}

export function register(name: string, port: number, fields?: Fields, options?: Options): Registration;
export function follow(name: string, options?: Options): List;
