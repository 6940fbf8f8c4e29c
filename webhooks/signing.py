"""Who has sent this? Standard Webhooks signatures, bearer keys, and tokens in addresses. All compared in constant time.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode
from standardwebhooks import Webhook, WebhookVerificationError

from connector import settings
from connector.errors import NotAuthentic

# What standardwebhooks lets through of malformed input: a body or header in a wrong encoding, a signature without a
# comma or of wrong base64, a timestamp that no calendar has.
MALFORMED = (UnicodeError, ValueError, OverflowError, IndexError, TypeError)


def _base64(secret: SecretStr) -> SecretStr:
    try:
        base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError('expected "whsec_" and base64; make one with: echo whsec_$(openssl rand -base64 24)') from None
    return secret


Secrets = Annotated[
    list[Annotated[SecretStr, AfterValidator(settings.long_enough), AfterValidator(_base64)]],
    NoDecode,
    BeforeValidator(settings.words),
]


def verify_signature(body: bytes, headers: Mapping[str, str], secrets: Iterable[SecretStr]) -> str:
    """The message's id, if one of the secrets has signed it in the last five minutes. Raises NotAuthentic."""
    for secret in secrets:
        try:
            Webhook(secret.get_secret_value()).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, *MALFORMED):
            continue
        return next(value for name, value in headers.items() if name.lower() == "webhook-id")
    raise NotAuthentic("the signature is missing, wrong or too old")


def verify_bearer(authorization: str, keys: Iterable[SecretStr]) -> None:
    """Raises NotAuthentic unless the header carries one of the keys."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not is_one_of(key.strip(), keys):
        raise NotAuthentic("the bearer key is missing or wrong")


def is_one_of(given: str, secrets: Iterable[SecretStr]) -> bool:
    """Compares with every secret, each in constant time, so that the time tells neither which nor how much matched."""
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    matches = [
        hmac.compare_digest(digest, hashlib.sha256(secret.get_secret_value().encode()).digest()) for secret in secrets
    ]
    return any(matches)
