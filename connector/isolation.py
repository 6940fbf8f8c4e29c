"""A call for many tickets that fails: whether all would meet the same, or which of them are to blame.

A probe, which is about no ticket in particular, tells one from the other. Where it passes, the group is halved until
those are alone that fail alone.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from connector.crms import Change, Crm
from connector.errors import CallFailed, Refused, Unavailable
from connector.model import Ticket

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Calls that one group may cost: a few odd ones among many are found with these. More of them is no oddity.
MOST_CALLS = 64


def read(crm: Crm, ids: Sequence[str]) -> dict[str, Ticket | CallFailed]:
    """The tickets of these ids, or why one alone could not be read. Raises Refused or Unavailable: nobody's could."""

    def call(part: Sequence[str]) -> list[Ticket | CallFailed | None]:
        tickets = crm.read(part)
        return [tickets.get(identifier) for identifier in part]

    once = list(dict.fromkeys(ids))
    found = _isolated(call, crm.probe, once)
    return {identifier: answer for identifier, answer in zip(once, found, strict=True) if answer is not None}


def write(crm: Crm, changes: Sequence[Change]) -> list[CallFailed | None]:
    """What became of each change, like crm.write. Raises Refused or Unavailable: nothing can be written."""
    return _isolated(crm.write, crm.probe, changes)


def _isolated(
    call: Callable[[Sequence[Item]], Sequence[Answer | CallFailed | None]],
    probe: Callable[[], None],
    items: Sequence[Item],
) -> list[Answer | CallFailed | None]:
    if not items:
        return []
    try:
        return list(call(items))
    except (Refused, Unavailable) as error:
        probe()
        left = [MOST_CALLS]
        if len(items) == 1:
            return [error]
        return _halved(call, items, left)


def _halved(
    call: Callable[[Sequence[Item]], Sequence[Answer | CallFailed | None]], items: Sequence[Item], left: list[int]
) -> list[Answer | CallFailed | None]:
    answers: list[Answer | CallFailed | None] = []
    middle = len(items) // 2
    for part in (items[:middle], items[middle:]):
        if left[0] <= 0:
            raise Unavailable("too many tickets of one call are refused, though others are not")
        left[0] -= 1
        try:
            answers += call(part)
        except (Refused, Unavailable) as error:
            answers += [error] if len(part) == 1 else _halved(call, part, left)
    return answers
