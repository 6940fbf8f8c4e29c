"""A page is not the whole: Salesforce may cut the answer to a query at any size, and every answer may be odd."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.crms import Query
from connector.crms.salesforce.adapter import Salesforce
from connector.errors import CallFailed, Unavailable
from connector.mapping import loader
from tests.crms.test_salesforce_check import described
from tests.crms.test_salesforce_session import Org, org, wanted

from connector.crms.salesforce.session import Session  # isort: skip

FILE = loader.load(Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml")
IDS = [f"50000000000000{number:01d}AAA" for number in range(6)]
__all__ = ["org"]


@pytest.fixture
def crm(org: Org) -> Iterator[Salesforce]:
    session = Session(wanted(org.url))
    yield Salesforce(session, FILE)
    session.close()


def record(identifier: str) -> dict[str, Any]:
    """A case with all that the mapping asks for."""
    fields = dict.fromkeys(path for path in FILE.fields.values() if "." not in path)
    return {**fields, "attributes": {"type": "Case"}, "Id": identifier, "CaseNumber": identifier[-4:], "Contact": None}


def pages(size: int, ids: list[str] = IDS) -> list[tuple[int, Any]]:
    """The answers to a query and to what follows it, so many records in each."""
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    return [
        (
            200,
            {
                "totalSize": len(ids),
                "done": at == len(parts) - 1,
                "records": [record(one) for one in part],
                **({} if at == len(parts) - 1 else {"nextRecordsUrl": f"/services/data/v67.0/query/01gx-{at}"}),
            },
        )
        for at, part in enumerate(parts)
    ]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_all_pages_are_read_of_tickets_and_of_what_still_fits(org: Org, crm: Salesforce, size: int) -> None:
    org.answers = pages(size)
    assert list(crm.read(IDS)) == IDS
    org.answers = pages(size)
    assert crm.fitting(Query(where="Status = 'New'"), IDS) == set(IDS)
    followed = [path for _, path, _, _ in org.calls() if "/query/" in path]
    assert len(followed) == 2 * (len(pages(size)) - 1)
    assert all(path.startswith("/services/data/v67.0/query/01gx-") for path in followed)


def broken_off() -> list[tuple[int, Any]]:
    return [(200, pages(2)[0][1] | {"nextRecordsUrl": None})]


def without_address() -> list[tuple[int, Any]]:
    first = dict(pages(2)[0][1])
    del first["nextRecordsUrl"]
    return [(200, first)]


def the_same_page_for_ever() -> list[tuple[int, Any]]:
    return [pages(2)[0]] * 5


def fewer_than_it_says() -> list[tuple[int, Any]]:
    return [(200, pages(6)[0][1] | {"records": [record(IDS[0])]})]


def a_page_that_is_away() -> list[tuple[int, Any]]:
    return [pages(2)[0], (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": ""}])]


def without_ids() -> list[tuple[int, Any]]:
    return [(200, {"totalSize": 1, "done": True, "records": [{"CaseNumber": "1"}]})]


ODD: list[Any] = [
    {},
    [],
    None,
    "words",
    7,
    {"records": []},
    {"done": True, "records": []},
    {"totalSize": 0, "done": True},
    {"totalSize": "1", "done": "yes", "records": []},
    {"totalSize": 1, "done": True, "records": [None]},
    {"totalSize": 0, "done": None, "records": []},
    {"totalSize": -1, "done": True, "records": []},
]


@pytest.mark.parametrize(
    "answers",
    [broken_off, without_address, the_same_page_for_ever, fewer_than_it_says, a_page_that_is_away, without_ids],
    ids=lambda answers: answers.__name__,
)
def test_an_answer_that_is_not_whole_says_of_no_ticket_that_it_is_deleted(
    org: Org, crm: Salesforce, answers: Callable[[], list[tuple[int, Any]]]
) -> None:
    org.answers = answers()
    with pytest.raises(Unavailable):
        crm.read(IDS)
    org.answers = answers()
    with pytest.raises(Unavailable):
        crm.fitting(Query(where="Status = 'New'"), IDS)


@pytest.mark.parametrize("answer", ODD, ids=repr)
def test_an_answer_that_is_none_is_unavailable_whatever_was_asked(org: Org, crm: Salesforce, answer: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: crm.read(IDS),
        crm.probe,
        lambda: crm.fitting(Query(where="Id != null"), IDS),
        lambda: crm.write([(IDS[0], {"CCAIP_SMS_Status__c": "Sent"})]),
    ]
    for call in calls:
        org.answers = [(200, answer)] * 2
        with pytest.raises(CallFailed):
            call()
        org.answers.clear()


@pytest.mark.parametrize("answer", [[None], ["x"], [7], [[]]], ids=repr)
def test_a_record_whose_answer_is_none_is_written_again(org: Org, crm: Salesforce, answer: Any) -> None:
    org.answers = [(200, described()["Case"]), (200, answer)]
    [error] = crm.write([(IDS[0], {"CCAIP_SMS_Status__c": "Sent"})])
    assert isinstance(error, Unavailable)


def test_a_ticket_is_deleted_only_where_a_whole_answer_lacks_it(org: Org, crm: Salesforce) -> None:
    org.answers = pages(2, IDS[:5])
    assert list(crm.read(IDS)) == IDS[:5]
