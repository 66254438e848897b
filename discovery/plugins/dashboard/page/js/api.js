// The server's routes, asked with the token of this tab. The page lies at /ui, so everything is found beside it, behind a proxy's path too.
import { learn } from "./clock.js";
import { token } from "./token.js";

export const BASE = new URL("../../", import.meta.url);

/** The server's own refusal: `message` says what is wrong and what to do next. `code`: for programs. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.message ?? `The server answered ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.body = body;
  }
}

/** Nobody answered, or not to the end. */
export class Away extends Error {}

/** The response whatever its status; Away when there is none. */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  const all = { ...headers };
  if (token.value) all.Authorization = `Bearer ${token.value}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  try {
    return await fetch(new URL(path, BASE), {
      method, headers: all, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away("The server does not answer");
  }
}

/** The JSON of an answer, with its `index`; Refused for an error. */
export async function ask(method, path, options = {}) {
  const asked = Date.now();
  const response = await request(method, path, options);
  let content;
  try {
    content = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response.ok) throw new Away("The server's answer was cut, or a proxy on the way answered in its place");
    content = {};
  }
  if (!response.ok) throw new Refused(response.status, content);
  learn(content.timestamp, asked, Date.now());
  Object.defineProperty(content, "index", { value: Number(response.headers.get("X-Registry-Index")), enumerable: false });
  return content;
}

/** What a response that is no success says. */
export const refusal = async (response) => new Refused(response.status, await response.json().catch(() => ({})));

export const get = (path, options) => ask("GET", path, options);

/** One part of a path or query. */
export const part = encodeURIComponent;
