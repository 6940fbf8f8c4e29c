"""How many segments a message takes: GSM 03.38 where its characters allow it, else UCS-2.

https://www.etsi.org/deliver/etsi_gts/03/0338/05.00.00_60/gsmts_0338v050000p.pdf
"""

from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Each of these takes two septets: an escape and itself.
EXTENSION = frozenset("\f^{}\\[~]|€")
# Septets, and UTF-16 code units: in a lone segment, and in each of several.
GSM_LONE, GSM_EACH = 160, 153
UCS_LONE, UCS_EACH = 70, 67

# Typographic characters that have a plain counterpart in GSM 03.38. Letters of a language are not among them.
PLAIN = str.maketrans({
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"',
    "»": '"', "‹": "'", "›": "'", "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "…": "...",
    "•": "-", "·": "-", "\u00a0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u200a": " ", "\u202f": " ",
    "\u200b": "", "\u2060": "", "\ufeff": "", "\t": " ",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """`units`: septets of GSM-7, or UTF-16 code units of UCS-2."""

    encoding: str
    units: int
    segments: int


def measure(message: str) -> Size:
    """The size of a message as it leaves."""
    used = set(message)
    if used <= BASIC:
        units = len(message)
        return Size("GSM-7", units, _even(units, GSM_LONE, GSM_EACH))
    if used <= BASIC | EXTENSION:
        widths = [2 if character in EXTENSION else 1 for character in message]
        return Size("GSM-7", sum(widths), _packed(widths, GSM_LONE, GSM_EACH))
    widths = [2 if character > "\uffff" else 1 for character in message]
    return Size("UCS-2", sum(widths), _packed(widths, UCS_LONE, UCS_EACH))


def replace_typographic(message: str) -> str:
    """Curly quotes, dashes and the like as plain ones: one of them would make the whole message UCS-2."""
    return message.translate(PLAIN)


def _even(units: int, lone: int, each: int) -> int:
    return min(units, 1) if units <= lone else -(-units // each)


def _packed(widths: list[int], lone: int, each: int) -> int:
    """No character is split across two segments: an escape stays with what it escapes, a surrogate with its other."""
    if sum(widths) <= lone:
        return min(len(widths), 1)
    segments, room = 1, each
    for width in widths:
        if width > room:
            segments, room = segments + 1, each
        room -= width
    return segments
