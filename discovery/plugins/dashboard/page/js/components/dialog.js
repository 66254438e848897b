// A question before something is done. The browser's own <dialog>: Escape closes it, focus stays in it, and goes back to where it was.
import { html, useEffect, useRef, useState } from "../html.js";
import { wanted } from "../token.js";
import { Failed } from "./empty.js";

/** `act`: async; the dialog closes when it succeeds, and says what the server said when it does not. `danger`: a red button. */
export function Dialog({ title, verb, danger, act, close, children }) {
  const box = useRef(null);
  const [state, setState] = useState({ busy: false, error: null });
  useEffect(() => {
    const opener = document.activeElement;
    box.current.showModal();
    return () => (opener?.isConnected ? opener : document.getElementById("main")).focus();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: null });
    try {
      await act(new FormData(event.target));
      close();
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  const typeToken = () => {
    close();
    wanted.value = state.error.message;
  };
  return html`<dialog ref=${box} onClose=${close} aria-labelledby="dialog-title">
    <form onSubmit=${submit}>
      <h2 id="dialog-title">${title}</h2>
      <div class="dialog-body">${children}</div>
      <${Failed} error=${state.error} />
      <div class="dialog-buttons">
        ${[401, 403].includes(state.error?.status) && html`<button type="button" onClick=${typeToken}>Type a token</button>`}
        <button type="button" onClick=${close}>Cancel</button>
        <button type="submit" class=${danger ? "danger" : "primary"} disabled=${state.busy}>${verb}</button>
      </div>
    </form>
  </dialog>`;
}
