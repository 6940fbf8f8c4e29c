"""Recover what is certain from outbound messages that are not well-formed XML.

What XML does not allow (a control character, an undeclared entity, a byte that is not UTF-8) becomes U+FFFD, which is
part of no id. Nothing is removed, so no id can turn into another one. Where that is not enough, each notification is
parsed alone. No entity is ever resolved.
"""

import itertools
import re
from dataclasses import dataclass

from connector.errors import Unreadable

REPLACED = "\ufffd"
DECLARATION = re.compile(r"\s*<\?xml\s[^>]*?\?>")
ENCODING = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
UTF_16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
READABLE_ENCODINGS = ("utf-8", "utf8", "us-ascii")
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REFERENCE = re.compile(r"&(?:(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6})|[\w:.-]{1,100});)?")
NOTIFICATION = re.compile(r"<(?:[\w.-]+:)?Notification(?=[\s>])")
# The end of the document. A document without it was truncated.
END = re.compile(r"</(?:[\w.-]+:)?notifications\s*>\s*</(?:[\w.-]+:)?Body\s*>\s*</(?:[\w.-]+:)?Envelope\s*>\s*\Z")
# Inside these, text may look like a notification.
NOT_TO_BE_CUT = ("<![CDATA[", "<!--")


@dataclass(frozen=True, slots=True)
class Part:
    """A notification of a damaged message: as a document of its own, and in its original bytes."""

    document: bytes
    raw: bytes


def replaced(body: bytes) -> str:
    """The document with U+FFFD for everything that XML does not allow. Raises Unreadable."""
    text = DECLARATION.sub("", _decoded(body), count=1)
    if "<!DOCTYPE" in text:
        raise Unreadable("a document type definition is not allowed")
    return REFERENCE.sub(_reference, NOT_IN_XML.sub(REPLACED, text))


def parts(text: str) -> list[Part]:
    """Each notification as a document. Empty when the document was truncated or cannot be split safely."""
    end, starts = END.search(text), [found.start() for found in NOTIFICATION.finditer(text)]
    if end is None or not starts or any(mark in text for mark in NOT_TO_BE_CUT):
        return []
    head = text[: starts[0]]
    cut = [text[start:stop] for start, stop in itertools.pairwise([*starts, end.start()])]
    return [Part(f"{head}{one}{end[0]}".encode(), one.encode()) for one in cut]


def _decoded(body: bytes) -> str:
    for mark, encoding in UTF_16.items():
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    declared = ENCODING.search(body[:200])
    if declared and declared[1].decode().lower() not in READABLE_ENCODINGS:
        raise Unreadable("not XML, and not in UTF-8")
    return body.decode("utf-8-sig", "replace")


def _reference(found: re.Match[str]) -> str:
    """Keep a reference to a character. Replace a reference to nothing, or to a character that XML does not allow."""
    named, decimal, hexadecimal = found.groups()
    if named:
        return found[0]
    code = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else 0
    return found[0] if 0 < code <= 0x10FFFF and not NOT_IN_XML.match(chr(code)) else REPLACED
