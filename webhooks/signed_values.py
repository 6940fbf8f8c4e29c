"""Signed values, which a browser stores and cannot change. A signature is valid for one purpose only.

https://itsdangerous.palletsprojects.com/
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Any

from itsdangerous import BadData, URLSafeSerializer


class Purpose(StrEnum):
    LINK = "link to the page"
    SESSION = "session of the page"
    FORM = "form of the page"
    FINDINGS = "findings shown with a form"
    CONSOLE_FORM = "form of the console"
    CONSOLE_SIGN_IN = "sign-in to the console"


class BadSignature(Exception):
    """The signature is wrong, or made for another purpose."""


def seal(secret: bytes, purpose: Purpose, value: Any) -> str:
    """The value with a signature, safe in URLs and cookies. It is signed, not encrypted."""
    return str(_serializer(secret, purpose).dumps(value))


def unseal(secret: bytes, purpose: Purpose, sealed: str) -> Any:
    """The value of a signed string. Raises BadSignature."""
    try:
        return _serializer(secret, purpose).loads(sealed)
    except (BadData, ValueError):  # ValueError: characters that a URL cannot hold
        raise BadSignature from None


def same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _serializer(secret: bytes, purpose: Purpose) -> URLSafeSerializer:
    return URLSafeSerializer(
        secret, salt=purpose.value, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )
