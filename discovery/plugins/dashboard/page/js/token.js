// The token that the reader typed: in this tab's session storage, nowhere else, and in the Authorization header of each request.
import { signal } from "@preact/signals";

const KEY = "discovery-token";

export const token = signal(sessionStorage.getItem(KEY) ?? "");

/** Why the server wants one, or another: its own words; "" when it does not. */
export const wanted = signal("");

/** For a curl line that is shown, when this tab has a token: the variable that the `discovery` commands read, never the secret. */
export const header = () => (token.value ? ' -H "Authorization: Bearer $DISCOVERY_TOKEN"' : "");

/** `text` "": it is forgotten. */
export function keep(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
  wanted.value = "";
  token.value = text;
}
