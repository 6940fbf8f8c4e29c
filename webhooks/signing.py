"""Authentication of webhooks: Standard Webhooks signatures, bearer keys, and tokens in paths.

All comparisons take constant time.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.datastructures import Headers

from connector.errors import NotAuthentic

# Errors that standardwebhooks does not catch: a body or header in a wrong encoding, a signature without a comma or with
# wrong base64, a timestamp out of range.
MALFORMED = (UnicodeError, ValueError, OverflowError, IndexError, TypeError)


def verify_signature(body: bytes, headers: Mapping[str, str] | Headers, secrets: Iterable[SecretStr]) -> str:
    """The message's id, when one of the secrets signed it in the last five minutes. Raises NotAuthentic."""
    for secret in secrets:
        try:
            Webhook(secret.get_secret_value()).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, *MALFORMED):
            continue
        return next(value for name, value in headers.items() if name.lower() == "webhook-id")
    raise NotAuthentic("the signature is missing, wrong or too old")


def verify_bearer(authorization: str, keys: Iterable[SecretStr]) -> None:
    """Check that the header carries one of the keys. Raises NotAuthentic."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not is_one_of(key.strip(), keys):
        raise NotAuthentic("the bearer key is missing or wrong")


def is_one_of(given: str, secrets: Iterable[SecretStr]) -> bool:
    """Compare with every secret in constant time, so that timing reveals neither a match nor its position."""
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    matches = [
        hmac.compare_digest(digest, hashlib.sha256(secret.get_secret_value().encode()).digest()) for secret in secrets
    ]
    return any(matches)
