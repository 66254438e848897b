// Values as words. Whatever strangers sent goes through `shown` on its way to the page: what it holds is seen, and does nothing.

// Controls, format characters (bidirectional and zero-width ones) and line separators: none of them has a shape of its own.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text with each hidden character as \x1b or \u202e. */
export function shown(value) {
  return String(value).replace(HIDDEN, (character) => {
    const code = character.codePointAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const GROUPED = new Intl.NumberFormat("en-US");

export const number = (value) => GROUPED.format(value);

/** `1 instance`, `2 instances`. */
export const count = (value, noun, many = `${noun}s`) => `${number(value)} ${value === 1 ? noun : many}`;

/** Seconds as two units at the most: `3 s`, `2 min 5 s`, `3 h 12 min`, `5 d 2 h`. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(whole, 60, "min", 1, "s");
  if (whole < 86_400) return two(whole, 3600, "h", 60, "min");
  return two(whole, 86_400, "d", 3600, "h");
}

function two(whole, large, largeName, small, smallName) {
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

const pad = (value) => String(value).padStart(2, "0");

/** A time in the reader's own zone: `14:03:07`, and with the date where that is not today's. `ms`, `now`: epoch milliseconds. */
export function clock(ms, now) {
  const at = new Date(ms);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return at.toDateString() === new Date(now).toDateString()
    ? time
    : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${time}`;
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`; without a port the address alone. */
export const endpoint = (ip, port) => (port == null ? ip : ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);

/** A value of metadata on one line. */
export const plain = (value) => shown(typeof value === "string" ? value : JSON.stringify(value));
