"""How many segments a message takes: GSM 03.38 where its characters allow it, else UCS-2.

https://www.etsi.org/deliver/etsi_gts/03/0338/05.00.00_60/gsmts_0338v050000p.pdf
"""

import unicodedata
from collections.abc import Set
from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Each of these takes two septets: an escape and itself.
EXTENSION = frozenset("\f^{}\\[~]|€")
GSM = BASIC | EXTENSION
# Septets, and UTF-16 code units: in a lone segment, and in each of several.
GSM_LONE, GSM_EACH = 160, 153
UCS_LONE, UCS_EACH = 70, 67

# Typographic characters that have a plain counterpart in GSM 03.38. Letters of a language are not among them, nor the
# middle dot, which Catalan spells with, nor the joiners that hold letters and emoji together.
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
    """`units`: septets of GSM-7, or UTF-16 code units of UCS-2."""

    encoding: str
    units: int
    segments: int


def measure(message: str) -> Size:
    """The size of a message as it leaves."""
    used = set(message)
    if used <= GSM:
        return _size("GSM-7", message, used & EXTENSION, GSM_LONE, GSM_EACH)
    return _size("UCS-2", message, {character for character in used if character > "\uffff"}, UCS_LONE, UCS_EACH)


def replace_typographic(message: str) -> str:
    """Curly quotes, dashes and the like as plain ones: one of them would make the whole message UCS-2."""
    return composed(message).translate(PLAIN)


def composed(message: str) -> str:
    """Each letter with its accent as one character, which looks the same: GSM 03.38 has no accents by themselves."""
    return unicodedata.normalize("NFC", message)


def _size(encoding: str, message: str, wide: Set[str], lone: int, each: int) -> Size:
    """`wide`: those of the message's characters that take two units."""
    units = len(message) + sum(map(message.count, wide))
    if units <= lone:
        return Size(encoding, units, min(units, 1))
    return Size(encoding, units, _packed(message, wide, each) if wide else -(-units // each))


def _packed(message: str, wide: Set[str], each: int) -> int:
    """No character is split across two segments: an escape stays with what it escapes, a surrogate with its other."""
    segments, room = 1, each
    for character in message:
        width = 2 if character in wide else 1
        if width > room:
            segments, room = segments + 1, each
        room -= width
    return segments
