"""Name what differs between two decisions about the same text. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from connector import phone
from connector.dry_run.verdicts import Check, Result, Verdict
from connector.policy.findings import Said

# What people call each check, and each further part of a decision.
CALLED = {
    "result": "Result",
    "rule": "Rule",
    "phone": "Phone",
    "outbound_number": "Outbound number",
    "message": "Message",
    "agent": "Assigned to",
    "plan": "Planned number",
    "language": "Language",
    "opt_out": "Opt-out",
    "reason": "Same reason",
    "window": "Window",
    "hours": "Quiet hours",
    "budget": "Daily budget",
    "content": "Content",
    "placeholder": "Placeholder",
    "ticket": "Ticket",
    "changed": "Ticket changed",
    "mapping": "Mapping",
}
# Checks whose words differ in a way that matters, even where both say ok.
TELLING = ("language", "content")
NOT_CHECKED = "not checked"
OTHER_NUMBER = "another number"


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of two decisions that differs. `before` and `after` are in full: a `phone` is a number in E.164, and a
    `message` is the customer's text. Show them with `shown` to people who may not see these.
    """

    part: str
    before: str
    after: str

    @property
    def name(self) -> str:
        return CALLED.get(self.part, self.part)

    @property
    def shown(self) -> tuple[str, str]:
        """Return both with numbers masked, and of a message only the length."""
        if self.part == "phone":
            return _masked(self.before), _masked(self.after)
        if self.part == "message":
            return f"{len(self.before)} characters", f"{len(self.after)} characters, worded differently"
        return self.before, self.after


def _masked(number: str) -> str:
    return number if number == OTHER_NUMBER else phone.mask(number)


def between(before: Verdict, after: Verdict) -> list[Difference]:
    """Return the differences between two decisions: the result first, then who, what, and each check."""
    if before.result is Result.NONE:
        return []
    return [*_result(before, after), *_who_and_what(before, after), *_checks(before, after)]


def in_words(verdict: Verdict) -> str:
    """Return the result of a decision with its reason: "skip: the case is closed"."""
    if verdict.result is Result.NONE:
        return f"not decided: {verdict.why}" if verdict.why else "not decided"
    until = f" until {verdict.until}" if verdict.until else ""
    return f"{verdict.result}{until}{f': {verdict.why}' if verdict.why else ''}"


def _result(before: Verdict, after: Verdict) -> Iterator[Difference]:
    same_skip = before.check == after.check and before.checks and after.checks
    if before.result is not after.result or (
        before.result is Result.SKIP and before.why != after.why and not same_skip
    ):
        yield Difference("result", in_words(before), in_words(after))


def _who_and_what(before: Verdict, after: Verdict) -> Iterator[Difference]:
    if before.rule and after.rule and before.rule != after.rule:
        yield Difference("rule", before.rule, after.rule)
    if before.number and after.number and before.number != after.number:
        numbers = [one.sms.end_user_number if one.sms else OTHER_NUMBER for one in (before, after)]
        yield Difference("phone", *numbers)
    if before.sms and after.sms:
        pairs = {
            "outbound_number": (before.sms.outbound_number, after.sms.outbound_number),
            "message": (before.sms.message, after.sms.message),
            "agent": tuple(str(one.agent_email or one.agent_id or "nobody") for one in (before.sms, after.sms)),
        }
        yield from (Difference(part, *pair) for part, pair in pairs.items() if pair[0] != pair[1])


def _checks(before: Verdict, after: Verdict) -> Iterator[Difference]:
    if not before.checks or not after.checks:
        return
    first, second = ({one.check: one for one in verdict.checks} for verdict in (before, after))
    for name in dict.fromkeys([*second, *first]):
        one, other = first.get(name), second.get(name)
        if _differ(one, other):
            yield Difference(name, _said(one), _said(other))


def _differ(one: Check | None, other: Check | None) -> bool:
    if one is None or other is None:
        return True
    if one.said is not other.said:
        return True
    if one.said is Said.HOLD and not one.until:  # a stored hold: its words name the time of day at which it was made
        return False
    return (one.why, one.until) != (other.why, other.until) and (one.said is not Said.OK or one.check in TELLING)


def _said(check: Check | None) -> str:
    if check is None:
        return NOT_CHECKED
    waits = f"waits until {check.until}" if check.until else "waits"
    return f"{waits if check.said is Said.HOLD else check.said}: {check.why}"
