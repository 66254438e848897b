// The dialog that is open, if any. It is drawn by the frame and not where its button is: that row may go while somebody reads.
import { html, signal } from "./html.js";

const open = signal(null);

/** `component`: a dialog; it is given `props` and `close`. */
export const pose = (component, props) => (open.value = { component, props });

const close = () => (open.value = null);

export function Question() {
  return open.value && html`<${open.value.component} ...${open.value.props} close=${close} />`;
}
