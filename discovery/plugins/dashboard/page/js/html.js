// What every component needs, from the vendored libraries: markup as tagged templates, hooks, signals.
import { h, render, Fragment } from "preact";
import htm from "htm";

/** `this[0] = 3` is htm's switch against keeping static parts: preact would hold the first page, and its table, by them for ever. */
export const html = htm.bind(function (type, props, ...children) {
  this[0] = 3;
  return h(type, props, ...children);
});
export { h, render, Fragment };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal, untracked, useComputed, useSignal } from "@preact/signals";
