"""Only those who hold a secret are let in, and whatever else comes is refused in the same way."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook

from connector.errors import NotAuthentic
from webhooks import signing

OLD = SecretStr("whsec_" + base64.b64encode(b"the old secret of 24 byte").decode())
NEW = SecretStr("whsec_" + base64.b64encode(b"the new secret of 24 byte").decode())
OTHER = SecretStr("whsec_" + base64.b64encode(b"the secret of another one").decode())
SIGNATURE = "webhook-signature"
BODY = '{"ticket_id": "5006x00000XXxxxXXX", "subject": "ü"}'


def signed(secret: SecretStr = NEW, body: str = BODY, seconds: float = 0, message_id: str = "msg_1") -> dict[str, str]:
    at = int(time.time() + seconds)
    signature = Webhook(secret.get_secret_value()).sign(message_id, datetime.fromtimestamp(at, UTC), body)
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def verify(headers: dict[str, str], body: bytes = BODY.encode(), secrets: tuple[SecretStr, ...] = (OLD, NEW)) -> str:
    return signing.verify_signature(body, headers, secrets)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(lambda: signed(NEW), id="the new secret"),
        pytest.param(lambda: signed(OLD), id="the old secret"),
        pytest.param(lambda: signed(seconds=-240), id="four minutes old"),
        pytest.param(lambda: signed(seconds=240), id="four minutes ahead"),
        pytest.param(lambda: {key.title(): value for key, value in signed().items()}, id="headers in another case"),
        pytest.param(
            lambda: signed() | {"webhook-signature": f"{signed(OTHER)[SIGNATURE]} {signed()[SIGNATURE]}"},
            id="one of several signatures",
        ),
        pytest.param(lambda: signed() | {SIGNATURE: f"v2,AAAA {signed()[SIGNATURE]}"}, id="beside another version"),
    ],
)
def test_a_signature_of_one_of_the_secrets_gives_the_messages_id(headers: Callable[[], dict[str, str]]) -> None:
    assert verify(headers()) == "msg_1"


def test_a_secret_without_prefix_is_a_secret_too() -> None:
    assert verify(signed(), secrets=(SecretStr(NEW.get_secret_value().removeprefix("whsec_")),)) == "msg_1"


def test_a_secret_that_is_no_base64_does_not_stand_in_the_way_of_the_others() -> None:
    assert verify(signed(), secrets=(SecretStr("whsec_a" * 5), SecretStr("ü" * 30), NEW)) == "msg_1"


def without(*names: str) -> dict[str, str]:
    return {key: value for key, value in signed().items() if key not in names}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param(dict, BODY.encode(), id="no headers"),
        pytest.param(lambda: without("webhook-id"), BODY.encode(), id="no id"),
        pytest.param(lambda: without("webhook-timestamp"), BODY.encode(), id="no timestamp"),
        pytest.param(lambda: without("webhook-signature"), BODY.encode(), id="no signature"),
        pytest.param(lambda: signed(OTHER), BODY.encode(), id="another secret"),
        pytest.param(lambda: signed(), BODY.encode() + b" ", id="another body"),
        pytest.param(lambda: signed(), b"", id="no body"),
        pytest.param(lambda: signed(), b"\xff\xfe", id="a body that is not UTF-8"),
        pytest.param(lambda: signed(body="x"), BODY.encode(), id="the signature of another body"),
        pytest.param(lambda: signed() | {"webhook-id": "msg_2"}, BODY.encode(), id="another id"),
        pytest.param(lambda: signed(seconds=-301), BODY.encode(), id="too old"),
        pytest.param(lambda: signed(seconds=360), BODY.encode(), id="too new"),
        *(
            pytest.param(
                lambda value=timestamp: signed() | {"webhook-timestamp": value},
                BODY.encode(),
                id=f"timestamp {timestamp[:9]!r}",
            )
            for timestamp in ("", "now", "nan", "inf", "-inf", "1e999", "9" * 400, "-1", "0", "99999999999999", "\xff")
        ),
        *(
            pytest.param(
                lambda value=signature: signed() | {"webhook-signature": value},
                BODY.encode(),
                id=f"signature {signature!r}",
            )
            for signature in ("", "v1", "v1,", "v1,a", "v1,a,b", "v1,ü", "v1,\udcff", ",", " ", "v1,A v1", "ü")
        ),
        pytest.param(
            lambda: signed() | {"webhook-signature": signed()[SIGNATURE].replace("v1,", "v2,")},
            BODY.encode(),
            id="the right signature of another version",
        ),
        pytest.param(lambda: signed() | {"webhook-id": "\udcff"}, BODY.encode(), id="an id with a lone surrogate"),
        pytest.param(lambda: signed() | {"webhook-id": "ü"}, BODY.encode(), id="an id that is not ASCII"),
    ],
)
def test_what_none_of_the_secrets_has_signed_is_refused(headers: Callable[[], dict[str, str]], body: bytes) -> None:
    with pytest.raises(NotAuthentic, match="signature") as caught:
        verify(headers(), body)
    assert caught.value.status == 401


def test_without_secrets_nobody_is_let_in() -> None:
    with pytest.raises(NotAuthentic):
        verify(signed(), secrets=())
    with pytest.raises(NotAuthentic):
        signing.verify_bearer("Bearer ", [])
    assert not signing.is_one_of("", [])


HEADER = st.text(st.characters(max_codepoint=255), max_size=20)


@given(st.binary(max_size=20), HEADER, HEADER | st.just(str(int(time.time()))), HEADER | HEADER.map("v1,{}".format))
def test_no_headers_fail_in_another_way(body: bytes, message_id: str, timestamp: str, signature: str) -> None:
    with pytest.raises(NotAuthentic):
        verify({"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}, body)


KEYS = [SecretStr("first-key-of-24-characters"), SecretStr("second-key-of-24-characters")]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer first-key-of-24-characters",
        "Bearer second-key-of-24-characters",
        "bearer first-key-of-24-characters",
        "BEARER first-key-of-24-characters",
        "Bearer   first-key-of-24-characters ",
    ],
)
def test_a_bearer_key_is_let_in(header: str) -> None:
    signing.verify_bearer(header, KEYS)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "first-key-of-24-characters",
        "Basic first-key-of-24-characters",
        "Bearer first-key-of-24-character",
        "Bearer first-key-of-24-characters2",
        "Bearer FIRST-KEY-OF-24-CHARACTERS",
        "Bearer first-key-of-24-characters, second-key-of-24-characters",
        "Bearer \xfc\xff",
        "Bearer \udcff",
        "Bearer 😀",
        "Bearer\tfirst-key-of-24-characters",
        "Bearer \x00",
    ],
)
def test_a_wrong_bearer_key_is_refused(header: str) -> None:
    with pytest.raises(NotAuthentic, match="bearer") as caught:
        signing.verify_bearer(header, KEYS)
    assert caught.value.status == 401
    assert "key-of" not in str(caught.value)


@pytest.mark.parametrize(
    ("given_token", "known"),
    [
        ("first-key-of-24-characters", True),
        ("second-key-of-24-characters", True),
        ("first", False),
        ("", False),
        (" first-key-of-24-characters", False),
        ("ü" * 24, False),
        ("\udcff", False),
        ("x" * 100_000, False),
    ],
    ids=lambda value: repr(value)[:32],
)
def test_a_token_is_one_of_those_that_are_valid_now(given_token: str, known: bool) -> None:
    assert signing.is_one_of(given_token, KEYS) is known
