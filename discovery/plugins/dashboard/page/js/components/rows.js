// A table that may be long: only the rows that can be seen are there. Each is as high as its text needs, on a phone it is a card: the height
// of those that were not drawn yet is guessed. The arrow keys go from row to row, and from the first one back to the search.
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { change, place } from "../url.js";
import { drawn } from "../windowing.js";

const MOST = 2000; // heights that are remembered beyond those of the rows that there are

const query = matchMedia("(max-width: 1000px)");
export const narrow = signal(query.matches);
query.addEventListener("change", () => (narrow.value = query.matches));

/** `columns`: {id, title, sort} of the head; `sort`: what the order is called that a click on it gives. `row(item)`: its cells, `<${Cell} of="id">`. `heights`: of most rows, and of most cards; pixels. */
export function Rows({ items, keyOf, label, columns, row, kind, heights = [44, 84] }) {
  const body = useRef(null);
  const [at, setAt] = useState({ top: 0, screen: innerHeight, width: 0 });
  const measured = useRef({ of: "", heights: new Map() }); // by key, at one width
  const guess = heights[narrow.value ? 1 : 0];
  if (measured.current.of !== `${at.width}` || measured.current.heights.size > MOST + items.length) measured.current = { of: `${at.width}`, heights: new Map() };
  const known = measured.current.heights;
  useEffect(() => {
    let asked = 0;
    const look = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        const box = body.current?.getBoundingClientRect();
        if (box) setAt({ top: -box.top, screen: innerHeight, width: box.width });
      });
    };
    look();
    const moved = new ResizeObserver(look); // what stands above may have grown
    moved.observe(document.body);
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      moved.disconnect();
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
      cancelAnimationFrame(asked);
    };
  }, []);
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = step && event.target.closest("[role=row]");
    const beside = row && (step > 0 ? row.nextElementSibling : row.previousElementSibling);
    const next = beside ? beside.querySelector("a") : row && step < 0 && document.querySelector(".search");
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const { first, end, before, whole } = drawn(at.top, at.screen, items.length, (index) => known.get(keyOf(items[index])) ?? guess);
  useLayoutEffect(() => {
    let news = false;
    [...body.current.children].forEach((row, index) => {
      const [key, { height }] = [keyOf(items[first + index]), row.getBoundingClientRect()];
      if (Math.abs((known.get(key) ?? guess) - height) < 0.5) return;
      known.set(key, height);
      news = true;
    });
    if (news) setAt((last) => ({ ...last }));
  });
  return html`<div class=${`rows ${kind}`} role="table" aria-label=${label} aria-rowcount=${items.length + 1}>
    <div class="head" role="rowgroup">
      <div role="row" aria-rowindex="1">
        ${columns.map((column) => html`<${Head} key=${column.id} ...${column} />`)}
      </div>
    </div>
    <div class="body" role="rowgroup" ref=${body} onKeyDown=${move}
      style=${{ height: `${whole}px`, paddingTop: `${before}px` }}>
      ${items.slice(first, end).map(
        (item, index) => html`<div key=${keyOf(item)} role="row" aria-rowindex=${first + index + 2}>${row(item)}</div>`,
      )}
    </div>
  </div>`;
}

/** The order stands in the address. */
function Head({ id, title, sort }) {
  if (sort === undefined) return html`<span role="columnheader" class=${id}>${title}</span>`;
  const current = (place.value.sort ?? "") === sort;
  return html`<span role="columnheader" class=${id} aria-sort=${current ? "ascending" : undefined}>
    <button type="button" class="sort" onClick=${() => change({ sort })}>${title}${current && html`<span aria-hidden="true"> ↓</span>`}</button></span>`;
}

export function Cell({ of, children, ...more }) {
  return html`<span role="cell" class=${of} ...${more}>${children}</span>`;
}
