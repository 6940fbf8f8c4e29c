"""What two decisions about one text differ in, and in what words."""

from dataclasses import replace

import pytest

from connector.dry_run.differences import between, in_words
from connector.dry_run.trial import Kind, kind_of
from connector.dry_run.verdicts import Check, Result, Verdict
from connector.model import OutboundSms
from connector.policy.findings import Said

SMS = OutboundSms("+14155552671", "+16285550199", "Hi Ada", "500", agent_email="ana@example.com")
OK = Check("hours", Said.OK, "it is 10:00 in America/New_York")
STOP = Check("opt_out", Said.STOP, "the customer replied STOP")
HOLD = Check("hours", Said.HOLD, "it is 21:00 in America/New_York", "2026-03-05 08:00 (America/New_York)")
SENT = Verdict(Result.SEND, "", "", "requested", SMS, "a", (OK,))
SKIPPED = Verdict(Result.SKIP, STOP.why, "opt_out", "requested", SMS, "a", (STOP, OK))
WAITING = Verdict(Result.WAIT, HOLD.why, "hours", "requested", SMS, "a", (HOLD,))
BY_MAPPING = Verdict(Result.SKIP, "the case is closed", "ticket", "requested")
UNDECIDED = Verdict(Result.NONE, "scheduled for Monday")


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        pytest.param(SENT, SENT, [], id="the same"),
        pytest.param(SENT, replace(SENT, checks=(replace(OK, why="it is 11:00"),)), [], id="another time, still ok"),
        pytest.param(SENT, SKIPPED, ["result", "opt_out"], id="skipped"),
        pytest.param(SENT, BY_MAPPING, ["result"], id="skipped by the mapping: the policy is not asked"),
        pytest.param(SENT, WAITING, ["result", "hours"], id="waits"),
        pytest.param(
            replace(WAITING, checks=(replace(HOLD, until=""),)), WAITING, [], id="a stored hold, and one of now"
        ),
        pytest.param(BY_MAPPING, replace(BY_MAPPING, why="no usable phone"), ["result"], id="another reason to skip"),
        pytest.param(SENT, replace(SENT, rule="urgent"), ["rule"], id="rule"),
        pytest.param(SENT, replace(SENT, sms=replace(SMS, agent_email=None, agent_id=4)), ["agent"], id="agent"),
        pytest.param(
            SENT, replace(SENT, sms=replace(SMS, outbound_number="+16285550100")), ["outbound_number"], id="sender"
        ),
        pytest.param(UNDECIDED, SENT, [], id="nothing to compare with"),
    ],
)
def test_the_parts_that_differ_are_named(before: Verdict, after: Verdict, parts: list[str]) -> None:
    assert [one.part for one in between(before, after)] == parts


def test_a_check_that_only_one_side_has_is_named() -> None:
    """Such as a daily budget that was added."""
    budget = Check("budget", Said.OK, "1 of 5 texts of the day are used")

    [found] = between(SENT, replace(SENT, checks=(OK, budget)))

    assert (found.name, found.before, found.after) == (
        "Daily budget",
        "not checked",
        "ok: 1 of 5 texts of the day are used",
    )


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (SENT, "send"),
        (SKIPPED, "skip: the customer replied STOP"),
        (WAITING, "wait until 2026-03-05 08:00 (America/New_York): it is 21:00 in America/New_York"),
        (UNDECIDED, "not decided: scheduled for Monday"),
    ],
)
def test_a_decision_is_told_in_words(verdict: Verdict, words: str) -> None:
    assert in_words(verdict) == words


def test_what_may_not_be_seen_is_not_shown() -> None:
    other = replace(SMS, end_user_number="+14155550123", message="Dear Ada")

    shown = [one.shown for one in between(SENT, replace(SENT, sms=other, number="b"))]

    assert shown == [("••••••••••71", "••••••••••23"), ("6 characters", "8 characters, worded differently")]


@pytest.mark.parametrize(
    ("live", "draft", "kind"),
    [
        (SKIPPED, SENT, Kind.TEXTED),
        (BY_MAPPING, WAITING, Kind.TEXTED),
        (WAITING, SKIPPED, Kind.SKIPPED),
        (SENT, WAITING, Kind.RETIMED),
        (WAITING, replace(WAITING, checks=(replace(HOLD, until="2026-03-05 09:00 (UTC)"),)), Kind.RETIMED),
        (SENT, replace(SENT, sms=replace(SMS, message="Dear Ada")), Kind.WORDED),
        (SENT, replace(SENT, rule="urgent"), Kind.ADDRESSED),
        (SKIPPED, BY_MAPPING, Kind.SKIPPED_OTHERWISE),
        (SKIPPED, replace(SKIPPED, sms=replace(SMS, message="Dear Ada")), Kind.SAME),
        (SENT, SENT, Kind.SAME),
    ],
)
def test_the_kind_of_a_change_is_its_most_important_one(live: Verdict, draft: Verdict, kind: Kind) -> None:
    assert kind_of(live, draft, between(live, draft)) is kind
