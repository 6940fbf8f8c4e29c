"""Sealed values: what a browser keeps for us and cannot change. Each seal is good for one purpose only.

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


class BadSignature(Exception):
    """We have not sealed this, or not for this purpose."""


def seal(secret: bytes, purpose: Purpose, value: Any) -> str:
    """The value, readable by everybody, with a seal. Fits an address and a cookie."""
    return str(_serializer(secret, purpose).dumps(value))


def unseal(secret: bytes, purpose: Purpose, sealed: str) -> Any:
    """Raises Forged."""
    try:
        return _serializer(secret, purpose).loads(sealed)
    except (BadData, ValueError):  # the latter: characters that no address can hold
        raise BadSignature from None


def same(one: str, other: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _serializer(secret: bytes, purpose: Purpose) -> URLSafeSerializer:
    return URLSafeSerializer(
        secret, salt=purpose.value, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )
