// As much of a browser as the modules that are not pure need: imports as the page's import map has them, and a server that each test plays.
import { register } from "node:module";

const PAGE = new URL("../../../discovery/plugins/dashboard/page/", import.meta.url);
const VENDORED = { preact: "preact", "preact/hooks": "preact-hooks", htm: "htm", "@preact/signals-core": "preact-signals-core", "@preact/signals": "preact-signals" };

register(`data:text/javascript,${encodeURIComponent(`
  const vendored = ${JSON.stringify(VENDORED)};
  export const resolve = (name, context, next) => next(vendored[name] ? "${PAGE}vendor/" + vendored[name] + ".js" : name, context);
  export const load = (url, context, next) => next(url, url.startsWith("${PAGE}") ? { ...context, format: "module" } : context);
`)}`);

const kept = new Map();
globalThis.sessionStorage = {
  getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key),
};
globalThis.document = Object.assign(new EventTarget(), { hidden: false });
globalThis.location = { search: "", hostname: "localhost" };
globalThis.requestAnimationFrame = (draw) => setTimeout(draw, 0);
const { setInterval } = globalThis;
globalThis.setInterval = (...given) => setInterval(...given).unref();

/** What the server answers, by the beginning of the path: a function of the request's headers and signal that gives a Response. */
export const server = new Map();
globalThis.fetch = async (url, { headers, signal }) => {
  const path = new URL(url).href.slice(PAGE.href.length - "page/".length).replace(/^page\//, "");
  const [, answer] = [...server].find(([beginning]) => path.startsWith(beginning)) ?? [];
  if (!answer) throw new TypeError(`nobody answers ${path}`);
  return answer(headers, signal);
};

export const json = (content, headers = {}) => new Response(JSON.stringify(content), { headers });

/** A stream that stays open: `say` writes to it, `cancelled` tells whether its reader has had enough. */
export function stream(headers = {}, signal) {
  const encoder = new TextEncoder();
  const it = { cancelled: false };
  const body = new ReadableStream({
    start: (controller) => {
      it.say = (text) => controller.enqueue(encoder.encode(text));
      signal?.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
    },
    cancel: () => void (it.cancelled = true),
  });
  it.response = new Response(body, { headers });
  return it;
}

/** Until `holds()`; what it gave. */
export async function until(holds) {
  for (let turn = 0; turn < 5000; turn++) {
    const found = holds();
    if (found) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`never: ${holds}`);
}
