// The state of the page is its address, so that it can be sent to a colleague: `place.value` has it, `go` changes it.
import { signal } from "@preact/signals";
import { format, parse } from "./place.js";

export const place = signal(parse(location.search));

addEventListener("popstate", () => {
  place.value = parse(location.search);
});

/** The address of another place. `search`: what is searched for goes along. */
export const href = (next) => format({ ...(place.value.q ? { q: place.value.q } : {}), ...next });

/** Goes there: a step back of the browser returns. */
export function go(next) {
  history.pushState(null, "", format(next));
  place.value = parse(location.search);
  scrollTo(0, 0);
}

/** Changes some of the place without a step of its own: what is typed, filters, the order. */
export function change(some) {
  history.replaceState(null, "", format({ ...place.value, ...some }));
  place.value = parse(location.search);
}

/** Links that lead to this page are followed without loading it anew. */
export function follow(event) {
  const link = event.target.closest?.("a[href^='?']");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(parse(new URL(link.href).search));
}
