// States as a shape and a word, so that colour is never the only sign.
import { html } from "../html.js";
import { stateOf } from "../table.js";

// In a box of 12 by 12. Filled but for those that begin with M and have a stroke.
const SHAPES = {
  healthy: { d: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1Z" },
  suspect: { d: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1Zm0 1.700v6.600a3.300 3.300 0 0 1 0-6.600Z" },
  flapping: { d: "M1 8.500 3.600 3.500 6 8.500 8.400 3.500 11 8.500", stroke: true },
  failing: { d: "M6 .8 11.600 10.800H.400Z" },
  unhealthy: { d: "M2.200 2.200 9.800 9.800M9.800 2.200 2.200 9.800", stroke: true },
  maintenance: { d: "M2 2h8v8H2Z" },
  warning: { d: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1ZM5 2.800h2v3.800H5Zm0 4.800h2v1.900H5Z" },
  lapsed: { d: "M2.800 1.500h6.400L2.800 10.500h6.400Z", stroke: true }, // an hourglass
  ended: { d: "M2.500 2.500h7v7h-7Z", stroke: true }, // of who went as one should
  changed: { d: "M3 6h6", stroke: true }, // of an event that is no status
  draining: { d: "M6 1.200V9.600M2.200 6.200 6 10 9.800 6.200", stroke: true },
};

export function Glyph({ status }) {
  const shape = SHAPES[status] ?? SHAPES.unhealthy;
  return html`<svg class=${`glyph ${status}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
    <path d=${shape.d} fill=${shape.stroke ? "none" : "currentColor"} stroke=${shape.stroke ? "currentColor" : "none"}
      stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" fill-rule="evenodd" />
  </svg>`;
}

export function State({ instance }) {
  const state = stateOf(instance);
  const permanent = instance.lease && html`<span class="tag" title="It has no lease, and stays until somebody deregisters it">permanent</span>`;
  return html`<span class=${`status ${state}`}><${Glyph} status=${state} />${state}${permanent}</span>`;
}
