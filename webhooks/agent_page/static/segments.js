// Counts segments as the server does: GSM 03.38 where its characters allow it, else UCS-2.

const PLAIN = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
  "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const ESCAPED = new Set("\f^{}\\[~]|€"); // two septets each

// The message as it is sent: the server adds text around the first message to a number, unless the message has it
// already, and replaces typographic characters.
export function leaving(typed, { before = "", after = "", plain = {} }) {
  const has = (words) => typed.toLowerCase().includes(words.trim().toLowerCase());
  const whole = typed && (has(before) ? "" : before) + typed + (has(after) ? "" : after);
  return Array.from(whole.normalize("NFC"), (one) => plain[one] ?? one).join("");
}

export function measure(message) {
  const characters = Array.from(message); // by code points: a surrogate pair is one
  const gsm = characters.every((one) => PLAIN.has(one) || ESCAPED.has(one));
  const widths = characters.map((one) => (gsm ? (ESCAPED.has(one) ? 2 : 1) : one.length));
  const units = widths.reduce((sum, width) => sum + width, 0);
  const [lone, each] = gsm ? [160, 153] : [70, 67];
  return { encoding: gsm ? "GSM-7" : "UCS-2", units, segments: packed(widths, units, lone, each) };
}

function packed(widths, units, lone, each) {
  if (units <= lone) return Math.min(units, 1);
  let segments = 1;
  let room = each;
  for (const width of widths) {
    if (width > room) {
      segments += 1;
      room = each;
    }
    room -= width;
  }
  return segments;
}
