// Which rows of a long list are drawn. Pure.

const SPARE = 8; // rows above and below what can be seen, for the next turn of the wheel

/** `top`: pixels of the list above the upper edge of the screen. `height(at)`: of a row, as far as it is known. The first row that is drawn
 * and the one behind the last, the pixels `before` the first, and those of the `whole` list. */
export function drawn(top, screen, total, height) {
  let [first, end, whole] = [0, total, 0];
  const tops = [];
  for (let at = 0; at < total; at++) {
    tops.push(whole);
    if (whole <= top) first = at;
    if (whole >= top + screen && end === total) end = at;
    whole += height(at);
  }
  first = Math.max(0, first - SPARE);
  return { first, end: Math.min(total, Math.max(first, end + SPARE)), before: tops[first] ?? 0, whole };
}
