/**
 * How many SMS segments a message takes. The connector counts in the same way; this is for counting while somebody types.
 *
 * GSM 03.38: 160 septets in one text, 153 in each of several; characters of the extension table take two septets.
 * Anything else makes the whole message UCS-2: 70 UTF-16 units in one text, 67 in each of several.
 */
const BASIC = new Set(
    '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿' +
        'abcdefghijklmnopqrstuvwxyzäöñüà'
);
const EXTENSION = new Set('\f^{}\\[~]|€');
const GSM_7 = { encoding: 'GSM-7', alone: 160, together: 153 };
const UCS_2 = { encoding: 'UCS-2', alone: 70, together: 67 };

const isGsm = (character) => BASIC.has(character) || EXTENSION.has(character);

/** The first character that makes a message UCS-2; undefined if none does. */
export function stranger(message) {
    return [...message].find((character) => !isGsm(character));
}

/** { encoding, units, segments }: units are septets or UTF-16 units. */
export function measure(message) {
    const characters = [...message];
    const { encoding, alone, together } = characters.every(isGsm) ? GSM_7 : UCS_2;
    const size = (character) => (encoding === GSM_7.encoding ? 1 + EXTENSION.has(character) : character.length);
    const sizes = characters.map(size);
    const units = sizes.reduce((sum, one) => sum + one, 0);
    return { encoding, units, segments: units <= alone ? Math.min(units, 1) : parts(sizes, together) };
}

/** An escape and its character, or the halves of a surrogate pair, stay in one segment: it may end one unit early. */
function parts(sizes, room) {
    let segments = 1;
    let used = 0;
    for (const size of sizes) {
        if (used + size > room) {
            segments += 1;
            used = 0;
        }
        used += size;
    }
    return segments;
}
