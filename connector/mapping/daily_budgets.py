"""The daily budgets of all mapping files together. A carrier counts the texts of a number, not of a mapping file."""

from collections.abc import Iterator, Mapping

from connector import phone
from connector.errors import BadMapping, Fault
from connector.mapping.rules import Mapping as TicketMapping
from connector.policy import daily_budget
from connector.policy.daily_budget import Budget

KEY = "policy.daily_budget"


def of(mappings: Mapping[str, TicketMapping]) -> dict[str, Budget]:
    """Return the budget of each outbound number that has one. `mappings`: by the file's name, for errors.

    Raises BadMapping for budgets that contradict each other, that no text can meet, or that are never used.
    """
    budgets: dict[str, Budget] = {}
    for path, mapping in mappings.items():
        own = _own(mapping)
        faults = [*_unused(mapping), *_contradicting(budgets, own)]
        if faults:
            raise BadMapping(path, faults)
        budgets |= own
    for path, mapping in mappings.items():
        if faults := list(_too_small(mapping, budgets)):
            raise BadMapping(path, faults)
    return budgets


def _own(mapping: TicketMapping) -> dict[str, Budget]:
    keys = mapping.file.policy.daily_budget
    found = ((number, daily_budget.of(keys, number)) for number in sorted(mapping.outbound_numbers))
    return {number: budget for number, budget in found if budget}


def _unused(mapping: TicketMapping) -> Iterator[Fault]:
    keys = mapping.file.policy.daily_budget
    for number in keys.by_number if keys else ():
        if number not in mapping.outbound_numbers:
            words = "is never used: expected an outbound number of this file, or CONNECTOR_CCAIP_OUTBOUND_NUMBER"
            yield Fault(f"{KEY}.by_number.{phone.mask(number)}", words)


def _contradicting(others: Mapping[str, Budget], own: Mapping[str, Budget]) -> Iterator[Fault]:
    for number, budget in own.items():
        if others.get(number, budget) != budget:
            words = "another mapping file has a different budget for the number {}: expected the same in both"
            yield Fault(KEY, words.format(phone.mask(number)))


def _too_small(mapping: TicketMapping, budgets: Mapping[str, Budget]) -> Iterator[Fault]:
    """Find budgets that the longest text never fits: it would wait forever."""
    longest = mapping.file.policy.max_segments
    for number in sorted(mapping.outbound_numbers & budgets.keys()):
        budget = budgets[number]
        need, part = budget.need(longest), budget.limit_of(batch=True)
        if part < need:
            yield Fault(
                KEY,
                f"leaves {part} of {budget.limit} {budget.unit} to batches for {phone.mask(number)}: expected at least "
                f"{need}, or a text of policy.max_segments ({longest}) would wait forever",
            )
