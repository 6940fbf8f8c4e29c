"""Types of single settings: how a value is written in a variable, and what it must be.

A validator raises ValueError with what was expected. See config_types.py for the types of mapping files.
"""

import base64
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from connector import addresses, expected, phone


def split_words(value: object) -> object:
    """Split one text of the environment at spaces and commas."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def split_messages(value: object) -> object:
    """Split one text of the environment at semicolons: messages have blanks and commas."""
    return [message.strip() for message in value.split(";") if message.strip()] if isinstance(value, str) else value


def known_country(code: str) -> str:
    if code not in phone.EVERY_COUNTRY:
        raise ValueError('expected ISO 3166 country codes in capitals, such as "US, CA"')
    return code


def long_enough(secret: SecretStr) -> SecretStr:
    """Refuse a secret that could be guessed."""
    if len(secret.get_secret_value()) < 24:
        raise ValueError("expected at least 24 characters; make one with: openssl rand -hex 24")
    return secret


def is_base64(secret: SecretStr) -> SecretStr:
    try:
        base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError('expected "whsec_" and base64; make one with: echo whsec_$(openssl rand -base64 24)') from None
    return secret


def long_as_generated(secret: SecretStr) -> SecretStr:
    """Refuse a webhook secret that CCAI Platform cannot have generated. The length of its secrets is not documented."""
    if len(secret.get_secret_value()) < 16:
        raise ValueError("expected the secret that CCAI Platform generated, at least 16 characters")
    return secret


Country = Annotated[str, AfterValidator(known_country)]
# Absolute: with a relative runtime folder, a library falls back to one that all users share.
Folder = Annotated[Path, AfterValidator(Path.absolute)]
HttpsUrl = Annotated[str, AfterValidator(addresses.https_or_loopback)]
LongSecret = Annotated[SecretStr, AfterValidator(long_enough)]
# Several values, separated by spaces or commas, so that secrets can be rotated without a gap.
Secrets = Annotated[list[LongSecret], NoDecode, BeforeValidator(split_words)]
SigningSecret = Annotated[SecretStr, AfterValidator(long_enough), AfterValidator(is_base64)]
WebhookSecret = Annotated[SecretStr, AfterValidator(long_as_generated)]
SigningSecrets = Annotated[list[SigningSecret], NoDecode, BeforeValidator(split_words)]
# Origins whose pages may show a page of the connector in a frame. The value is copied into a header unchanged.
Origins = Annotated[
    list[
        Annotated[
            str,
            expected.matching(
                r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?",
                "expected origins such as https://acme.lightning.force.com, without a path or a slash at the end",
            ),
        ]
    ],
    NoDecode,
    BeforeValidator(split_words),
]
Messages = Annotated[list[str], NoDecode, BeforeValidator(split_messages)]
Words = Annotated[list[str], NoDecode, BeforeValidator(split_words)]
Countries = Annotated[list[Country], NoDecode, BeforeValidator(split_words), Field(min_length=1)]
SkippedChecks = Annotated[list[Literal["hours", "window"]], NoDecode, BeforeValidator(split_words)]
