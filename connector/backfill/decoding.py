"""Decode a file given by an operator, in the encodings that spreadsheets and editors write."""

import codecs
import re

from connector.errors import BadFile

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# The first bytes of workbooks: zip files, and files of old versions.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# UTF-16 without a mark is detected by zero bytes: at least this share of every second byte, and this many times more
# than of the others.
SHARE, FAR_MORE = 0.25, 4
NO_TEXT = re.compile(r"[\0-\x08\x0e-\x1f]")


def text_of(data: bytes) -> str:
    """Return the text of UTF-8, UTF-16 or UTF-32, with or without a mark, or else of Latin-1. Raises BadFile."""
    if data.startswith(WORKBOOKS):
        raise BadFile("expected text, but this is a workbook or an archive: save it as CSV (UTF-8)")
    try:
        text = data.decode(_encoding(data)).rstrip("\x1a")  # the end of a file from old programs
    except UnicodeDecodeError:
        raise BadFile("expected text in UTF-8, but it breaks off, or is in another encoding") from None
    if found := NO_TEXT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise BadFile(f"line {line}: expected text, but there is a character that no text has ({ord(found[0]):#04x})")
    return text


def _encoding(data: bytes) -> str:
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding
    zeros = {"utf-16-be": data[0::2].count(0), "utf-16-le": data[1::2].count(0)}
    encoding, most = max(zeros.items(), key=lambda one: one[1])
    if most > SHARE * len(data) / 2 and most > FAR_MORE * min(zeros.values()):
        return encoding
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
