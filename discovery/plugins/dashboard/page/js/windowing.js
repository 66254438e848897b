// Which rows of a long list are drawn. Pure.

const SPARE = 8; // rows above and below what can be seen, for the next turn of the wheel

/** `top`: pixels of the list above the upper edge of the screen. The first row that is drawn, and the one behind the last. */
export function drawn(top, screen, height, total) {
  const first = Math.min(Math.max(0, Math.floor(top / height) - SPARE), Math.max(0, total - 1));
  const end = Math.min(total, Math.max(0, Math.ceil((top + screen) / height) + SPARE));
  return { first, end: Math.max(first, end) };
}
