// What no event tells is asked again and again, while it is looked at: never twice at a time, and only while the connection is live, which
// it is not while the page is hidden.
import { get } from "./api.js";
import { useEffect, useState } from "./html.js";
import { connection } from "./store.js";
import { token } from "./token.js";

/** {data, error, again} of `path`, every `ms` (0: once); `path` null: of nothing. What came last stays while nobody answers. */
export function usePoll(path, ms, ask = get) {
  const [found, setFound] = useState({ data: null, error: null, path: null });
  const [round, setRound] = useState(0);
  const secret = token.value;
  const live = connection.value.state === "live"; // a server that is back is asked at once
  useEffect(() => {
    if (path === null || !live) return undefined;
    const stopped = new AbortController();
    let timer;
    const turn = async () => {
      try {
        const data = await ask(path, { signal: stopped.signal });
        if (!stopped.signal.aborted) setFound({ data, error: null, path });
      } catch (error) {
        if (stopped.signal.aborted) return;
        setFound((last) => ({ data: last.path === path ? last.data : null, error, path }));
      }
      if (!stopped.signal.aborted && ms) timer = setTimeout(turn, ms);
    };
    turn();
    return () => {
      stopped.abort();
      clearTimeout(timer);
    };
  }, [path, ms, secret, round, live]);
  const mine = found.path === path;
  return { data: mine ? found.data : null, error: mine ? found.error : null, again: () => setRound((last) => last + 1) };
}
