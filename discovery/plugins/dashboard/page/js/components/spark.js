// A small line of a few numbers, the newest at the right; what it is of stands beside it.
import { html } from "../html.js";

/** `values`: numbers, null where there is none. `label`: for who does not see it. */
export function Spark({ values, label, width = 120, height = 28 }) {
  const most = Math.max(1e-9, ...values.filter((value) => value !== null));
  const step = width / Math.max(1, values.length - 1);
  let pen = "M";
  const path = values
    .map((value, at) => {
      if (value === null) return (pen = "M"), "";
      const point = `${pen}${(at * step).toFixed(1)} ${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`;
      pen = "L";
      return point;
    })
    .join("");
  return html`<svg class="spark" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="img" aria-label=${label}>
    <path d=${path} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" />
  </svg>`;
}
