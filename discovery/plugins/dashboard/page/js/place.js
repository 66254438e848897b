// Where the reader is: the query of the address. Pure; `url.js` keeps it in the browser's history.

export const HOME = "services";

/** `?view=hosts&q=a` → {view: "hosts", q: "a"}. Of a name that comes twice the last counts. */
export function parse(search) {
  const place = { view: HOME };
  for (const [name, value] of new URLSearchParams(search)) if (value !== "") place[name] = value;
  return place;
}

/** The other way: the usual view and what is empty are left out; `?` alone is the start. */
export function format(place) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(place)) {
    if (value == null || value === "" || (name === "view" && value === HOME)) continue;
    query.set(name, value);
  }
  return `?${query}`;
}

/** A comma separated value as a set, and back. */
export const listed = (value) => new Set((value ?? "").split(",").filter(Boolean));
export const joined = (set) => [...set].join(",");
