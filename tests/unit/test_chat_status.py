"""Which report of a chat's status counts, in whatever order the reports come."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from connector.ccaip import chats
from connector.chat_status import Report, Source, replaces

START = datetime(2026, 11, 26, 12, tzinfo=UTC)


def report(status: str, seconds: float = 0, source: Source = Source.LIST, ended: bool = False) -> Report:
    return Report("114", status, START + timedelta(seconds=seconds), source, ended)


@pytest.mark.parametrize(
    ("counts", "other"),
    [
        pytest.param(report("assigned", 2), report("selecting", 1), id="the newer"),
        pytest.param(report("queued", 2), report("assigned", 1), id="the newer, though it goes back"),
        pytest.param(report("finished", 1, ended=True), report("assigned", 2), id="ended, though it is older"),
        pytest.param(report("finished", 2, ended=True), report("failed", 1, ended=True), id="the newer of two ends"),
        pytest.param(report("assigned"), report("queued"), id="at one time: further on"),
        pytest.param(report("queued"), report("on_a_break"), id="at one time: a word that is known"),
        pytest.param(report("on_b"), report("on_a"), id="at one time: unknown words, by the alphabet"),
        pytest.param(report("selecting"), report("assigned", 0, Source.WEBHOOK), id="at one time: the list"),
        pytest.param(report("queued", -99), report("selecting", 0, Source.RESPONSE), id="anything after the response"),
        pytest.param(
            report("assigned", -99, Source.WEBHOOK),
            report("selecting", 0, Source.RESPONSE),
            id="a webhook after it, too",
        ),
    ],
)
def test_one_of_two_reports_counts_whichever_comes_first(counts: Report, other: Report) -> None:
    assert replaces(counts, other)
    assert not replaces(other, counts)


def test_a_report_that_comes_again_changes_nothing() -> None:
    assert not replaces(report("assigned"), report("assigned"))


def test_every_order_leads_to_the_same_status() -> None:
    reports = [
        report("selecting", 0, Source.RESPONSE),
        report("selecting", 0),
        report("assigned", 2, Source.WEBHOOK),
        report("assigned", 3),
        report("finished", 5, Source.WEBHOOK, ended=True),
        report("no_response", 5, ended=True),
    ]
    finals = set()
    for order in itertools.permutations(reports):
        newest = order[0]
        for one in order[1:]:
            newest = one if replaces(one, newest) else newest
        finals.add(newest)
    assert finals == {report("no_response", 5, ended=True)}


@pytest.mark.parametrize(
    ("status", "ends_at", "ended"),
    [("assigned", None, False), ("assigned", "2026-11-26T05:00:00.000-07:00", True), ("failed", None, True)],
)
def test_a_chat_of_the_list_has_ended_by_its_status_or_its_end(status: str, ends_at: str | None, ended: bool) -> None:
    moment = "2026-11-26T05:00:00.000-07:00"
    [chat] = chats.CHATS.validate_python(
        [{"id": "114", "status": status, "created_at": moment, "updated_at": moment, "ends_at": ends_at, "new": "0.0"}]
    )
    assert (chat.id, chat.ended, chat.updated_at) == (114, ended, START)
