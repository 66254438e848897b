// Server-Sent Events read by `fetch`, since EventSource cannot send a token. The parser is pure.

/** Chunks of text to messages {id, event, data}, as the HTML standard's "event stream interpretation" has it. */
export class Parser {
  #rest = "";
  #message = blank();

  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    const found = [];
    for (const each of lines) {
      const line = each.replace(/\r$/, "");
      if (line === "") {
        if (this.#message.data !== null) found.push(this.#message);
        this.#message = blank();
      } else this.#field(line);
    }
    return found;
  }

  #field(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    const message = this.#message;
    if (name === "data") message.data = message.data === null ? value : `${message.data}\n${value}`;
    else if (name === "event") message.event = value;
    else if (name === "id") message.id = value;
  }
}

const blank = () => ({ id: null, event: "message", data: null });

/** Calls `take` with the messages of each chunk, until the server ends the stream, or says nothing for `patience` milliseconds: of a network
 * that is gone a browser hears nothing. */
export async function messages(response, take, patience) {
  const parser = new Parser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let timer;
  try {
    for (;;) {
      timer = setTimeout(() => reader.cancel().catch(() => {}), patience);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      const found = parser.feed(value);
      if (found.length) take(found);
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {}); // `take` may have had enough: the connection must not stay open
  }
}
