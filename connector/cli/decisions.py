"""Decisions and their differences, for people and for programs. Numbers are masked."""

from collections.abc import Iterator, Sequence
from typing import Any

from connector import phone
from connector.dry_run.differences import Difference
from connector.dry_run.verdicts import Verdict


def difference_lines(found: Sequence[Difference], before: str, after: str, messages: bool = False) -> Iterator[str]:
    """Yield what differs, under the names of both decisions. `messages`: show the messages themselves."""
    width = max(len(before), len(after))
    for one in found:
        first, second = values(one, messages)
        yield f"  {one.name}"
        yield f"    {before:<{width}}  {first}"
        yield f"    {after:<{width}}  {second}"


def values(found: Difference, messages: bool = False) -> tuple[str, str]:
    """Return both values of a difference. `messages`: a message in full."""
    return (found.before, found.after) if messages and found.part == "message" else found.shown


def difference_json(found: Difference, before: str, after: str, messages: bool = False) -> dict[str, Any]:
    first, second = values(found, messages)
    return {"part": found.part, "name": found.name, before: first, after: second}


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "result": verdict.result,
        "why": verdict.why,
        "check": verdict.check,
        "until": verdict.until,
        "rule": verdict.rule,
        "to": phone.mask(verdict.sms.end_user_number) if verdict.sms else None,
        "message": f"{len(verdict.sms.message)} characters" if verdict.sms else None,
        "checks": [{"check": one.check, "said": one.said, "why": one.why} for one in verdict.checks],
    }
