"""A call for many tickets that fails: whether all would meet the same, or which of them are to blame.

A probe, which is about no ticket in particular, tells one from the other. Where it passes, the group is halved until
those are alone that fail alone.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from connector.crms import Change, Crm
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.model import Ticket

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Calls that a group may cost: a few odd ones among many are found with these. How many may fail before one passes.
MAX_CALLS, MAX_IN_VAIN = 64, 8


def read(crm: Crm, ids: Sequence[str]) -> dict[str, Ticket | CallFailed]:
    """The tickets of these ids, or why one alone could not be read. Raises Refused or Unavailable: nobody's could.

    The CRM is not asked for what can be no ticket's id.
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
    """What became of each change, like crm.write. Raises Refused or Unavailable: nothing can be written or read."""
    return _Group(crm.write).ask(changes, crm.probe)


class _Group(Generic[Item, Answer]):
    """The calls of one group. `in_vain`: so many that it is no single item's fault."""

    def __init__(self, call: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._call = call
        self._calls, self._passed = 0, False

    @property
    def in_vain(self) -> bool:
        return self._calls >= MAX_CALLS or (not self._passed and self._calls > MAX_IN_VAIN)

    def ask(self, items: Sequence[Item], probe: Callable[[], None]) -> list[Answer | CallFailed]:
        """An answer for each item, or what it meets. Raises what the probe meets too."""
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
        """They failed together, with this error."""
        if len(items) == 1 or self.in_vain:
            return [error] * len(items)
        middle, answers = len(items) // 2, list[Answer | CallFailed]()
        for part in (items[:middle], items[middle:]):
            try:
                answers += [error] * len(part) if self.in_vain else self._ask(part)
            except (Refused, Unavailable) as again:
                answers += self._halved(part, again)
        return answers
