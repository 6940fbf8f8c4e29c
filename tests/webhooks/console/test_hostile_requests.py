"""Requests that no page of the console sends: each is refused in words, and none looks like a failure of ours."""

import pytest
from werkzeug.test import TestResponse

from tests.webhooks.console.conftest import Operators
from webhooks.console.roles import Role

HUGE, NUL = "9" * 30, "a%00b"
ADDRESSES = [
    f"/texts/{HUGE}",
    f"/texts/{HUGE}/reason",
    f"/texts/{HUGE}/decide-again",
    f"/unknowns/{HUGE}",
    f"/bulk/{HUGE}",
    f"/texts?before={HUGE}",
    f"/texts?q=rule:{NUL}",
    f"/bulk?before={HUGE}",
    f"/audit?below={HUGE}",
    f"/audit?who={NUL}",
    f"/audit?about={NUL}",
    f"/person?of={NUL}",
    f"/person?ticket={NUL}&crm=salesforce",
    f"/unknowns?after=2026-11-24T00:00Z,{HUGE}",
    f"/back-fills/{NUL}",
    f"/back-fills/{NUL}/outcomes.csv",
    f"/pauses?scope={NUL}",
    f"/?span={NUL}",
    "/texts/" + "9" * 5000,
]
FORMS = {
    f"/texts/{HUGE}/cancel": {"why": "x"},
    "/texts/1/cancel": {"why": "a\0b"},
    "/texts/1/write-back": {"why": "a\0b"},
    "/texts/1/give-up": {"why": "a\0b"},
    "/texts/1/suppress": {"why": "a\0b"},
    f"/unknowns/{HUGE}/settle": {"verdict": "not_sent"},
    f"/unknowns/{HUGE}/search": {},
    "/opt-outs/entered": {"entry": "a\0b"},
    f"/opt-outs/{HUGE}/decide": {"decision": "not", "why": "x"},
    "/pauses": {"scope": "all:", "why": "a\0b"},
    "/person": {"ticket": "a\0b"},
    "/person/erase": {"of": "a\0b", "digits": "1"},
    "/keys/revoke": {"name": "a\0b"},
    f"/sessions/{HUGE}/end": {},
    f"/bulk/{HUGE}/stop": {},
    "/bulk/start": {"action": "cancel", "why": "a\0b", "id": "1", "count": HUGE},
    "/bulk/confirm": {"action": "cancel", "id": "9" * 18},
    "/back-fills/a%00b/run": {"canary": "1", "cooling": "nan", "max_failed": "1"},
    "/back-fills/a%00b/halt": {"to": "cancelled"},
    "/try-mapping": {"crm": "salesforce", "draft": "a\0b", "events": HUGE},
}


def require_refusal(answer: TestResponse) -> None:
    assert answer.status_code < 500, answer.text[-2000:]
    assert "database" not in answer.text or answer.status_code == 200, answer.text[-2000:]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_no_page_has_is_refused(console: Operators, address: str) -> None:
    require_refusal(console.client(*Role).get(address))


@pytest.mark.parametrize("address", FORMS)
def test_a_form_that_no_page_sends_is_refused(console: Operators, address: str) -> None:
    require_refusal(console.client(*Role).post(address, **FORMS[address]))
