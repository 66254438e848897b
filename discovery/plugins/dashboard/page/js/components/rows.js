// A table that may be long: only the rows that can be seen are there. All have the same height, on a phone another one (cards). The arrow
// keys go from row to row.
import { html, signal, useEffect, useRef, useState } from "../html.js";
import { change, place } from "../url.js";
import { drawn } from "../windowing.js";

const query = matchMedia("(max-width: 760px)");
export const narrow = signal(query.matches);
query.addEventListener("change", () => (narrow.value = query.matches));

/** `columns`: {id, title, sort} of the head; `sort`: what the order is called that a click on it gives. `row(item)`: its cells, `<${Cell} of="id">`. `heights`: of a row, and of a card; pixels. */
export function Rows({ items, keyOf, label, columns, row, kind, heights = [44, 84] }) {
  const body = useRef(null);
  const [at, setAt] = useState({ top: 0, screen: innerHeight });
  const height = heights[narrow.value ? 1 : 0];
  useEffect(() => {
    let asked = 0;
    const look = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        if (body.current) setAt({ top: -body.current.getBoundingClientRect().top, screen: innerHeight });
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
    const next = row && (step > 0 ? row.nextElementSibling : row.previousElementSibling)?.querySelector("a");
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const { first, end } = drawn(at.top, at.screen, height, items.length);
  return html`<div class=${`rows ${kind}`} role="table" aria-label=${label} aria-rowcount=${items.length + 1}>
    <div class="head" role="rowgroup">
      <div role="row" aria-rowindex="1">
        ${columns.map((column) => html`<${Head} key=${column.id} ...${column} />`)}
      </div>
    </div>
    <div class="body" role="rowgroup" ref=${body} onKeyDown=${move}
      style=${{ height: `${items.length * height}px`, paddingTop: `${first * height}px`, "--row": `${height}px` }}>
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
