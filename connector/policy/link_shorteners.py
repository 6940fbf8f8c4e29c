"""Public link shorteners. Carriers filter texts that contain one."""

import re

# By host, in lower case.
SHORTENERS = (
    "bit.ly",
    "tinyurl.com",
    "t.co",
    "goo.gl",
    "ow.ly",
    "is.gd",
    "v.gd",
    "buff.ly",
    "rebrand.ly",
    "cutt.ly",
    "rb.gy",
    "shorturl.at",
    "tiny.cc",
    "t.ly",
    "bl.ink",
    "s.id",
    "lnkd.in",
    "fb.me",
    "youtu.be",
    "short.io",
    "adf.ly",
    "qr.ae",
)
SHORTENED = re.compile(
    rf"(?<![a-z0-9.-])(?:www\.)?({'|'.join(map(re.escape, SHORTENERS))})(?![a-z0-9-]|\.[a-z0-9])", re.IGNORECASE
)


def find(message: str) -> str | None:
    """Return the host of a shortener whose link is in the message; None: there is none."""
    shortened = SHORTENED.search(message)
    return shortened[1].lower() if shortened else None
