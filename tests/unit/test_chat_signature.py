"""Signatures of chat webhooks: either secret, either place, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from connector.errors import NotAuthentic
from tests.support.chat_webhooks import PRIMARY, SECONDARY, sign
from webhooks.ccaip import moments, signature

BODY = b'{"event_type": "chat_ended", "chat_id": 114}'
NOW = datetime(2026, 11, 26, 8, 20, tzinfo=UTC)
STAMP = "2026-11-26T08:20:00Z"
A, B = sign(PRIMARY, STAMP, BODY), sign(SECONDARY, STAMP, BODY)
WRONG = sign("another secret", STAMP, BODY)


def verify(header: str, stamp: str = STAMP, body: bytes = BODY, secrets: tuple[str, ...] = (PRIMARY,)) -> datetime:
    return signature.verify(body, header, stamp, [SecretStr(one) for one in secrets], NOW, 300)


@pytest.mark.parametrize(
    "header",
    [
        f"primary={A} secondary={B}",
        f"primary={A}",
        f"secondary={A}",
        f"secondary={WRONG} primary={A}",
        f"primary={WRONG},secondary={A}",
        f"  Primary = {A} ;  SECONDARY = {WRONG}",
        f"primary={A}\tsecondary={B}",
    ],
)
def test_one_matching_signature_is_enough(header: str) -> None:
    assert verify(header) == NOW


@pytest.mark.parametrize("header", [f"primary={B}", f"primary={WRONG} secondary={B}", f"secondary={B}"])
def test_either_secret_may_match(header: str) -> None:
    assert verify(header, secrets=(PRIMARY, SECONDARY)) == NOW


@pytest.mark.parametrize(
    "header",
    ["", "primary=", "primary=secondary=", A, f"primary={WRONG}", f"primary={A[:-1]}", f"primary={A}=", f"x{A}", "é"],
)
def test_anything_else_is_refused(header: str) -> None:
    with pytest.raises(NotAuthentic):
        verify(header)


def test_another_body_is_refused() -> None:
    with pytest.raises(NotAuthentic, match="none of the configured secrets"):
        verify(f"primary={A}", body=BODY + b" ")


@pytest.mark.parametrize("seconds", [-299, 0, 299])
@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "iso"])
def test_a_timestamp_within_the_tolerance_is_read_in_each_unit(unit: str, seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    stamp = {
        "seconds": str(int(at.timestamp())),
        "milliseconds": str(int(at.timestamp() * 1000)),
        "iso": at.isoformat(),
    }[unit]
    assert verify(f"primary={sign(PRIMARY, stamp, BODY)}", stamp) == at


@pytest.mark.parametrize(("seconds", "words"), [(-301, "too old"), (301, "in the future")])
def test_a_timestamp_outside_the_tolerance_is_refused(seconds: int, words: str) -> None:
    stamp = (NOW + timedelta(seconds=seconds)).isoformat()
    with pytest.raises(NotAuthentic, match=words):
        verify(f"primary={sign(PRIMARY, stamp, BODY)}", stamp)


@pytest.mark.parametrize("stamp", ["", "soon", "2026-11-26T08:20:00", "nan", "1e999", "9" * 400, "-1e300", "é"])
def test_a_timestamp_that_is_no_time_is_refused(stamp: str) -> None:
    with pytest.raises(NotAuthentic):
        verify(f"primary={sign(PRIMARY, stamp, BODY)}", stamp)


@pytest.mark.parametrize("value", [True, None, [], {}, float("inf"), 10**400])
def test_what_is_no_time_is_none(value: object) -> None:
    assert moments.read(value) is None
