"""Try a draft of a mapping on stored events and on tickets, beside the mapping in use. Changes and sends nothing.

Both mappings decide now, about the same tickets, each read once, and with the same facts: so only the mapping differs.
What the texts themselves have claimed or used does not count against them, and neither do the connector's own
write-backs to their tickets. Of several texts for one reason, the first leaves, as in delivery.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

import psycopg

from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import deciding, isolation
from connector.delivery.admission import Clock
from connector.delivery.deciding import OwnWrites
from connector.dry_run import both_mappings, judging, trial
from connector.dry_run.both_mappings import BothMappings
from connector.dry_run.decide_again import Connect
from connector.dry_run.judging import Candidate
from connector.dry_run.trial import Item, Trial, Unread
from connector.dry_run.verdicts import Result, Verdict
from connector.errors import CallFailed, Refused, Unavailable
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Channel, Decision, Skip, Ticket
from connector.policy.checks import Known
from connector.policy.findings import Said
from connector.store import decisions, outcomes, postgres, texts

# Events that are tried, unless another number is asked for; and at most. Tickets at most.
EVENTS, MAX_EVENTS, MAX_TICKETS = 100, 1_000, 1_000
# Tickets that were read, those that could not be, and the error that ended the reading, if one did.
Read = tuple[dict[str, Ticket | CallFailed | None], str]


def try_mapping(
    connect: Connect,
    crm_name: str,
    crm: Crm,
    both: BothMappings,
    events: int,
    tickets: Sequence[str] = (),
    on_read: Callable[[int, int], None] = lambda read, of: None,
    clock: Clock = postgres.now,
) -> Trial:
    """Decide by both mappings about the newest `events` events and these tickets, and compare.

    A ticket is tried as at its newest trigger; without one, as if a trigger came now. `crm` reads the fields of
    `both.to_read`. `connect` gives connections; none is held while the CRM is called. `on_read` gets the number of
    tickets read so far, and of all. Raises Refused or Unavailable when no ticket can be read. When the CRM fails later,
    the texts of the tickets that were not read are listed as such.
    """
    with connect() as connection:
        items = _items(connection, crm_name, events, tickets)
    found, stopped = _read(crm, list(dict.fromkeys(item.ticket_id for item in reversed(items))), on_read)
    own = {item.id for item in items if item.text and item.text.changed_by and crm.is_own(item.text.changed_by)}
    unread = [Unread(item, why) for item in items if (why := _why_unread(found, item.ticket_id, stopped))]
    left_out = {one.item.id for one in unread}
    tried = [item for item in items if item.id not in left_out]
    with connect() as connection:
        at = clock(connection)
        as_asked = _as_asked(connection, both, tried, found)
        live, draft = (
            _verdicts(connection, crm_name, mapping, tried, as_asked, own, at) for mapping in (both.live, both.draft)
        )
    return trial.compared([(item, live[item.id], draft[item.id]) for item in tried], unread, at)


def _items(connection: psycopg.Connection, crm: str, events: int, tickets: Sequence[str]) -> list[Item]:
    """Return the texts of the newest events and of the tickets' triggers, oldest first; then tickets without one."""
    triggered = decisions.triggered(connection, crm, tickets) if tickets else {}
    ids = {*(decisions.newest(connection, crm, events) if events else ()), *triggered.values()}
    loaded = texts.load(connection, sorted(ids))
    found = [Item(text.id, text.ticket_id, text.channel, text) for _, text in sorted(loaded.items())]
    without = [ticket for ticket in dict.fromkeys(tickets) if ticket not in triggered]
    return found + [Item(~at, ticket, Channel.TRIGGER) for at, ticket in enumerate(without)]


def _read(crm: Crm, tickets: Sequence[str], on_read: Callable[[int, int], None]) -> Read:
    """Read tickets, None for one that does not exist. Ends early where the CRM fails after it has answered once."""
    found: dict[str, Ticket | CallFailed | None] = {}
    for start in range(0, len(tickets), CRM_BATCH_SIZE):
        page = tickets[start : start + CRM_BATCH_SIZE]
        try:
            answers = isolation.read(crm, page)
        except (Refused, Unavailable) as error:
            if not found:
                raise
            return found, str(error)
        found |= {ticket: answers.get(ticket) for ticket in page}
        on_read(len(found), len(tickets))
    return found, ""


def _why_unread(found: dict[str, Ticket | CallFailed | None], ticket_id: str, stopped: str) -> str:
    ticket = found.get(ticket_id)
    return str(ticket) if isinstance(ticket, CallFailed) else stopped if ticket_id not in found else ""


def _as_asked(
    connection: psycopg.Connection,
    both: BothMappings,
    items: Sequence[Item],
    found: dict[str, Ticket | CallFailed | None],
) -> dict[int, Ticket]:
    """Return the ticket of each item as it was when its text was asked for, by the item's id, where there is one."""
    accepted = [item.id for item in items if item.text and item.text.accepted]
    writes: OwnWrites = outcomes.own_writes(connection, accepted) if accepted else {}
    tickets = {item.id: ticket for item in items if isinstance(ticket := found[item.ticket_id], Ticket)}
    return tickets | {
        item.id: both_mappings.as_accepted(both.live, tickets[item.id], item.text.accepted, writes[item.id])
        for item in items
        if item.id in tickets and item.text and item.text.accepted and not item.text.request
    }


def _verdicts(
    connection: psycopg.Connection,
    crm: str,
    mapping: TicketMapping,
    items: Sequence[Item],
    tickets: dict[int, Ticket],
    own: set[int],
    at: datetime,
) -> dict[int, Verdict]:
    """Return what a mapping decides about each item, by its id. Of those with one reason, the first has it."""
    decided = {item.id: _decide(mapping, item, tickets.get(item.id), item.id in own) for item in items}
    candidates = {
        item.id: Candidate(item.id, item.channel, decision, item.request)
        for item in items
        if isinstance(decision := decided[item.id], Decision)
    }
    facts = judging.known(connection, crm, list(candidates.values()), mapping.budgets, at)
    found, holders = dict[int, Verdict](), dict[tuple[str, str], Item]()
    for item in items:
        decision = decided[item.id]
        if isinstance(decision, Skip):
            found[item.id] = judging.by_mapping(decision)
            continue
        reason = (decision.rule, decision.reason)
        holder = holders.get(reason)
        known = _with_holder(facts[item.id], holder, decided.keys())
        verdict = judging.by_policy(connection, mapping.policy, candidates[item.id], known, at)
        if holder and holder.text is None and verdict.leaves:
            why = f"ticket {holder.ticket_id} is for the same reason"
            verdict = replace(verdict, result=Result.SKIP, check="reason", why=why)
        elif verdict.leaves and not any(one.said is Said.OVERRIDDEN for one in verdict.checks if one.check == "reason"):
            holders[reason] = item
        found[item.id] = verdict
    return found


def _decide(mapping: TicketMapping, item: Item, ticket: Ticket | None, own: bool) -> Decision | Skip:
    if own:
        return Skip(deciding.OWN_CHANGE, notify=False)
    if ticket is None:
        return Skip(deciding.DELETED, notify=False)
    return mapping.decide(both_mappings.as_read_by(mapping, ticket), item.request)


def _with_holder(known: Known, holder: Item | None, tried: Collection[int]) -> Known:
    """Return the facts with the reason's holder among the texts that are tried, instead of the one that is stored."""
    if holder and holder.text:
        return replace(known, same_reason=holder.id, same_reason_state=holder.text.state)
    if known.same_reason in tried:
        return replace(known, same_reason=None, same_reason_state=None, same_reason_notified=False)
    return known
