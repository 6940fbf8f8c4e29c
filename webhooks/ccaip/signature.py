"""The signature of chat webhooks.

    X-Signature: primary=<base64> secondary=<base64>
    X-Signature-Timestamp: <time>

Each signature is base64(HMAC-SHA256(secret, timestamp + body)). Either may be missing, and either secret may match
either signature, so that secrets can be rotated on one side first.
https://cloud.google.com/contact-center/ccai-platform/docs/chat-platform-api-guide
"""

import base64
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from pydantic import SecretStr

from connector.errors import NotAuthentic, NotTimely
from webhooks.ccaip import moments

SIGNATURE = re.compile(r"(?:primary|secondary)\s*=\s*([A-Za-z0-9+/]{43}=)(?![A-Za-z0-9+/=])", re.IGNORECASE)
# Signatures that are compared. The header has two.
MAX_SIGNATURES = 4


def verify(
    body: bytes, signatures: str, timestamp: str, secrets: Sequence[SecretStr], now: datetime, tolerance: float
) -> datetime:
    """Return when the message was signed (UTC). Compares in constant time.

    `signatures` and `timestamp` are the two headers, `tolerance` is in seconds. Raises NotAuthentic, and
    NotTimely where only the time is wrong.
    """
    given = [base64.b64decode(one) for one in SIGNATURE.findall(signatures)[:MAX_SIGNATURES]]
    if not given:
        raise NotAuthentic("X-Signature: expected primary=<base64>, secondary=<base64>, or both")
    signed_at = moments.read(timestamp)
    if signed_at is None:
        raise NotAuthentic("X-Signature-Timestamp: expected seconds, milliseconds, or ISO 8601 with an offset")
    content = timestamp.encode("latin-1", "replace") + body
    expected = [hmac.digest(secret.get_secret_value().encode(), content, "sha256") for secret in secrets]
    matches = [hmac.compare_digest(one, other) for one in given for other in expected]
    if not any(matches):
        raise NotAuthentic("the signature is wrong: none of the configured secrets has made it")
    age = (now - signed_at).total_seconds()
    if abs(age) > tolerance:
        what = "too old" if age > 0 else "in the future"
        raise NotTimely(f"the signature is {what}: check the clocks, or CONNECTOR_CCAIP_WEBHOOK_TOLERANCE_SECONDS")
    return signed_at
