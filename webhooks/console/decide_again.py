"""Decide again: what would be decided about a text today, beside what was decided. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint
from flask.typing import ResponseReturnValue

from connector.dry_run import decide_again as dry_run
from connector.dry_run.decide_again import Comparison
from connector.dry_run.differences import CALLED, in_words
from connector.dry_run.verdicts import Check, Verdict
from connector.errors import NotThere
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs
from webhooks.problems import Problem


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check of both decisions. None: it was not made."""

    name: str
    then: Check | None
    now: Check | None


def add(pages: Blueprint, console: Console) -> None:
    """Add the route."""

    @pages.get("/texts/<int:text>/decide-again")
    @needs(Role.VIEW)
    def decide_again(text: int) -> ResponseReturnValue:
        found = _compare(console, text)
        decisions = [
            ("Then", found.then, found.decided_at, in_words(found.then)),
            ("Now", found.now, found.at, in_words(found.now)),
        ]
        checks = _check_rows(found.then, found.now)
        return console.page("console/decide_again.html", found=found, decisions=decisions, checks=checks)


def _compare(console: Console, text: int) -> Comparison:
    """Raises Problem 404, 429 or 503."""
    try:
        with console.read() as connection:
            crm = dry_run.crm_of(connection, text, console.mappings)
    except NotThere as error:
        raise Problem(404, str(error)) from None
    with console.texts.calling(crm, viewer().who):
        return dry_run.decide_again(console.read, console.texts.crm(crm), console.mappings[crm], text)


def _check_rows(then: Verdict, now: Verdict) -> Sequence[CheckRow]:
    """Return the checks of both decisions, those of today first."""
    first, second = ({one.check: one for one in verdict.checks} for verdict in (then, now))
    return [
        CheckRow(CALLED.get(check, check), first.get(check), second.get(check))
        for check in dict.fromkeys([*second, *first])
    ]
