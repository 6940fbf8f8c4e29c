"""Isolate the tickets that make a batched call fail, or find that every call would fail.

A probe that concerns no ticket distinguishes the two. If the probe succeeds, the batch is halved until the failing
tickets are alone.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from connector.crms import Change, Crm
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.model import Ticket

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Limit of calls for one batch, enough to find a few faulty tickets among many; limit of failed calls before the first
# success.
MAX_CALLS, MAX_IN_VAIN = 64, 8


def read(crm: Crm, ids: Sequence[str]) -> dict[str, Ticket | CallFailed]:
    """The tickets of these ids, or the error of each that could not be read. A missing id: there is no such ticket.

    Raises Refused or Unavailable when no ticket can be read. Ids of an invalid form are not sent to the CRM.
    """

    def call(part: Sequence[str]) -> list[Ticket | None]:
        tickets = crm.read(part)
        return [tickets.get(identifier) for identifier in part]

    answers: dict[str, Ticket | CallFailed] = {
        identifier: Refused(problem, RefusalScope.TICKET)
        for identifier in ids
        if (problem := crm.not_an_id(identifier))
    }
    once = [identifier for identifier in dict.fromkeys(ids) if identifier not in answers]
    group = _Group(call)
    found = group.ask(once, crm.probe)
    if group.in_vain:
        raise Unavailable("tickets cannot be read, though a probe passes") from None
    return answers | {identifier: answer for identifier, answer in zip(once, found, strict=True) if answer is not None}


def write(crm: Crm, changes: Sequence[Change]) -> list[CallFailed | None]:
    """The result of each change, like crm.write. Raises Refused or Unavailable when no ticket can be written."""
    return _Group(crm.write).ask(changes, crm.probe)


class _Group(Generic[Item, Answer]):
    """The calls of one batch. `in_vain`: so many have been made that single items cannot be at fault."""

    def __init__(self, call: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._call = call
        self._calls, self._passed = 0, False

    @property
    def in_vain(self) -> bool:
        return self._calls >= MAX_CALLS or (not self._passed and self._calls > MAX_IN_VAIN)

    def ask(self, items: Sequence[Item], probe: Callable[[], None]) -> list[Answer | CallFailed]:
        """An answer or an error for each item. Raises the probe's error when the probe fails too."""
        if not items:
            return []
        try:
            return self._ask(items)
        except (Refused, Unavailable) as error:
            probe()
            return self._halved(items, error)

    def _ask(self, items: Sequence[Item]) -> list[Answer | CallFailed]:
        self._calls += 1
        answers: list[Answer | CallFailed] = list(self._call(items))
        self._passed = True
        return answers

    def _halved(self, items: Sequence[Item], error: CallFailed) -> list[Answer | CallFailed]:
        """An answer or an error for each of these items, whose common call failed with `error`."""
        if len(items) == 1 or self.in_vain:
            return [error] * len(items)
        middle, answers = len(items) // 2, list[Answer | CallFailed]()
        for part in (items[:middle], items[middle:]):
            try:
                answers += [error] * len(part) if self.in_vain else self._ask(part)
            except (Refused, Unavailable) as again:
                answers += self._halved(part, again)
        return answers
