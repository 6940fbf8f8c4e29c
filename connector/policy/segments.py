"""Count the segments of a message: GSM 03.38 where its characters allow it, else UCS-2.

https://www.etsi.org/deliver/etsi_gts/03/0338/05.00.00_60/gsmts_0338v050000p.pdf
"""

import unicodedata
from collections.abc import Set
from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Each of these takes two septets: an escape and the character.
EXTENSION = frozenset("\f^{}\\[~]|€")
GSM = BASIC | EXTENSION
# Septets (GSM) and UTF-16 code units (UCS-2): in a single segment, and in each of several.
GSM_LONE, GSM_EACH = 160, 153
UCS_LONE, UCS_EACH = 70, 67

# Typographic characters with a plain counterpart in GSM 03.38. Letters of a language are not included, nor is the
# middle dot, which Catalan spelling uses, nor are the joiners that hold letters and emoji together.
PLAIN = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "‚": "'",
        "‛": "'",
        "′": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "‟": '"',
        "″": '"',
        "«": '"',
        "»": '"',
        "‹": "'",
        "›": "'",
        "´": "'",
        "`": "'",
        "ʼ": "'",
        "ʹ": "'",
        "＇": "'",
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "–": "-",
        "—": "-",
        "―": "-",
        "−": "-",
        "…": "...",
        "•": "-",
        "‣": "-",
        "⁃": "-",
        "\t": " ",
        "\u00a0": " ",
        "\u202f": " ",
        "\u205f": " ",
        "\u2028": "\n",
        "\u2029": "\n",
        "\u00ad": "",
        "\u200b": "",
        "\u2060": "",
        "\ufeff": "",
        **{chr(space): " " for space in range(0x2000, 0x200B)},
    }
)


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a message. `units`: septets of GSM-7, or UTF-16 code units of UCS-2."""

    encoding: str
    units: int
    segments: int


def measure(message: str) -> Size:
    """Return the size of a message as it is sent."""
    used = set(message)
    if used <= GSM:
        return _size("GSM-7", message, used & EXTENSION, GSM_LONE, GSM_EACH)
    return _size("UCS-2", message, {character for character in used if character > "\uffff"}, UCS_LONE, UCS_EACH)


def replace_typographic(message: str) -> str:
    """Replace curly quotes, dashes and the like with plain ones: one of them would make the whole message UCS-2."""
    return composed(message).translate(PLAIN)


def composed(message: str) -> str:
    """Compose each accented letter into one character of the same look: GSM 03.38 has no separate accents."""
    return unicodedata.normalize("NFC", message)


def _size(encoding: str, message: str, wide: Set[str], lone: int, each: int) -> Size:
    """Return the size; `wide` are the characters of the message that take two units."""
    units = len(message) + sum(map(message.count, wide))
    if units <= lone:
        return Size(encoding, units, min(units, 1))
    return Size(encoding, units, _packed(message, wide, each) if wide else -(-units // each))


def _packed(message: str, wide: Set[str], each: int) -> int:
    """Count segments without splitting a character: escape sequences and surrogate pairs stay in one segment."""
    segments, room = 1, each
    for character in message:
        width = 2 if character in wide else 1
        if width > room:
            segments, room = segments + 1, each
        room -= width
    return segments
