"""What people do to a text or a number: one operation for command line, API and console.

Each is one transaction with its entry in the audit trail. It raises ActionRefused, and changes nothing, when the text
is not in a state for it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

from connector.errors import ActionRefused, KeyUsedOtherwise
from connector.model import Channel, State, TextRequest
from connector.policy.opt_outs import Source
from connector.store import (
    agent_requests,
    api_keys,
    audit,
    bulk_actions,
    jobs,
    opt_outs,
    outcomes,
    queries,
    suppressions,
    text_views,
    texts,
)
from connector.store.agent_requests import SendRequest
from connector.store.api_keys import Right
from connector.store.audit import Action, Actor

SQL = queries.load(__file__)

# Who acted, in words that tickets and agents see.
OPERATOR = "an operator"
MISSING = "does not exist"
FOLLOWED = "was followed by another request for this ticket already"
NO_RULE = "failed before a rule asked for it, so nothing says what to send: text the customer from the ticket"
# The reason for refusing to cancel a text, by state.
TOO_LATE = {
    State.SENDING: "is being sent at this moment: it cannot be taken back",
    State.SENT: "was sent already: it cannot be taken back",
    State.SKIPPED: "was skipped: nothing was sent, and nothing will be",
    State.FAILED: "has failed: nothing was sent, and nothing will be",
    State.UNKNOWN: "may have been sent, nobody knows yet: it cannot be taken back. See: connector texts resolve -h",
    State.CANCELLED: "was cancelled before",
}


def cancel(connection: psycopg.Connection, text: int, actor: Actor, by: str = OPERATOR, why: str = "") -> None:
    """Cancel a waiting text and queue its write-back. `by`: the person's name for the ticket."""
    with connection.transaction():
        if not text_views.cancel(connection, text, by):
            loaded = texts.load(connection, [text]).get(text)
            why = TOO_LATE.get(loaded.state, "is changing at this moment: try again") if loaded else MISSING
            raise ActionRefused(f"text {text}", why)
        audit.record(connection, actor, Action.TEXT_CANCEL, audit.text(text), why=why)


def give_up_write_back(connection: psycopg.Connection, text: int, actor: Actor, why: str) -> None:
    """Give up a write-back that is pending."""
    with connection.transaction():
        if not outcomes.give_up(connection, text, f"given up: {why}"):
            raise ActionRefused(f"text {text}", "has no outcome to write back, or does not exist: nothing was changed")
        audit.record(connection, actor, Action.TEXT_GIVE_UP, audit.text(text), why=why)


def repeat_write_back(connection: psycopg.Connection, text: int, actor: Actor, why: str = "") -> None:
    """Write the outcome to the ticket again, now: one that is pending, was given up, or was written before.

    Delivery still decides whether a newer text's outcome has to stay on the ticket.
    """
    with connection.transaction():
        row = connection.execute(SQL["repeat_write_back"], {"id": text}).fetchone()
        if row is None:
            raise ActionRefused(f"text {text}", _nothing_to_write(connection, text))
        jobs.add(connection, jobs.write_backs([{"id": text, "channel": row[0]}]))
        audit.record(connection, actor, Action.TEXT_WRITE_BACK, audit.text(text), why=why)


def _nothing_to_write(connection: psycopg.Connection, text: int) -> str:
    loaded = texts.load(connection, [text]).get(text)
    if loaded is None:
        return MISSING
    waits = loaded.state in texts.NOT_OVER
    return "has no outcome yet" if waits else "has nothing to write back: the ticket did not ask for a text"


def send_again(
    connection: psycopg.Connection, text: int, actor: Actor, why: str, channel: Channel = Channel.AGENT
) -> int:
    """Ask once more for a text that failed; the id of the new text. The policy decides about it as about any other.

    No finding is overridden. Whoever asks again for the same failed text, on any page, gets the same new text. As a
    `batch`, it waits where an agent's would fail. A time that it was scheduled for is dropped.
    """
    with connection.transaction():
        try:
            receipt = agent_requests.take_in(connection, _request(connection, text, actor, why, channel))
        except KeyUsedOtherwise:
            raise ActionRefused(f"text {text}", FOLLOWED) from None
        if receipt.duplicate:
            raise ActionRefused(f"text {text}", FOLLOWED)
        after = {"text": receipt.text}
        audit.record(connection, actor, Action.TEXT_SEND_AGAIN, audit.text(text), after=after, why=why)
        return receipt.text


def _request(connection: psycopg.Connection, text: int, actor: Actor, why: str, channel: Channel) -> SendRequest:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["request"], {"id": text}).fetchone()
    if row is None:
        raise ActionRefused(f"text {text}", MISSING)
    if row["state"] != State.FAILED:
        raise ActionRefused(f"text {text}", f"is {row['state']}, not failed: only a failed text is sent again")
    if row["erased"]:
        raise ActionRefused(f"text {text}", "was erased: its message is not known any more")
    if row["request"] is None and row["rule"] is None:
        raise ActionRefused(f"text {text}", NO_RULE)
    caller, key = f"{actor.source}:{actor.who}", f"send again {text}"
    return SendRequest(row["crm"], row["ticket_id"], _ask(row, actor, why), caller, key, text, channel)


def _ask(row: dict[str, Any], actor: Actor, why: str) -> TextRequest:
    """The request as it was, for the number that the ticket has now, at once, and with no finding overridden."""
    request = TextRequest(**row["request"]) if row["request"] else TextRequest(agent_name=actor.who)
    rule = request.rule or row["rule"]
    return replace(request, rule=rule, number=None, send_at=None, override=why, overrides=())


def suppress_number_of(connection: psycopg.Connection, text: int, actor: Actor, why: str) -> None:
    """Put the number that a text was meant for on the suppression list."""
    if not suppress(connection, _number(connection, text), actor, why):
        raise ActionRefused(f"text {text}", "has a number that is on the suppression list already")


def lift_number_of(connection: psycopg.Connection, text: int, actor: Actor, why: str) -> None:
    """Take a person's entry for the number of a text off the suppression list."""
    lift(connection, _number(connection, text), actor, why)


def _number(connection: psycopg.Connection, text: int) -> str:
    row = connection.execute(SQL["number"], {"id": text}).fetchone()
    if row is None:
        raise ActionRefused(f"text {text}", MISSING)
    if row[0] is None:
        raise ActionRefused(f"text {text}", "has no number: it was not decided yet, was skipped, or was erased")
    return str(row[0])


def suppress(connection: psycopg.Connection, number: str, actor: Actor, why: str, by: str = OPERATOR) -> bool:
    """Put a number (E.164) on the suppression list and cancel its waiting texts. False: it is there already."""
    with connection.transaction():
        new = opt_outs.suppress(connection, number, why, by)
        if new:
            audit.record(connection, actor, Action.NUMBER_SUPPRESS, audit.number(connection, number), why=why)
    return new


def lift(connection: psycopg.Connection, number: str, actor: Actor, why: str) -> None:
    """Take a person's entry for this number (E.164) off the suppression list. Entries of other sources stay."""
    with connection.transaction():
        if not suppressions.lift(connection, number, Source.PERSON):
            raise ActionRefused("the number", "has no entry by a person on the suppression list")
        left = suppressions.sources(connection, number)
        after = {"still_listed_by": ", ".join(left)}
        audit.record(connection, actor, Action.NUMBER_LIFT, audit.number(connection, number), after=after, why=why)


def decide_opt_out(connection: psycopg.Connection, review: int, actor: Actor, opt_out: bool, why: str) -> None:
    """Decide whether a message is an opt-out. `review`: its id."""
    with connection.transaction():
        found = opt_outs.review(connection, review)
        if not opt_outs.decide(connection, review, opt_out, why, OPERATOR):
            raise ActionRefused(f"review {review}", "is not open, or does not exist: nothing was changed")
        if found and found.number:
            after = {"review": review, "opt_out": opt_out}
            about = audit.number(connection, found.number)
            audit.record(connection, actor, Action.OPT_OUT_DECIDE, about, after=after, why=why)


def record_entered(connection: psycopg.Connection, number: str | None, actor: Actor) -> None:
    """Record that a number (E.164) was entered on CCAI Platform's own list. None: the number was erased."""
    with connection.transaction():
        if number is None or not suppressions.record_entered(connection, number):
            raise ActionRefused("this number", "does not have to be entered: nothing was changed")
        audit.record(connection, actor, Action.OPT_OUT_ENTER, audit.number(connection, number))


def add_key(
    connection: psycopg.Connection, name: str, rights: Sequence[Right], per_minute: int, actor: Actor
) -> str | None:
    """Add an API key and return it in clear, this once. None: a key of this name exists."""
    with connection.transaction():
        key = api_keys.add(connection, name, rights, per_minute)
        if key is not None:
            after = {"rights": " ".join(rights), "per_minute": per_minute}
            audit.record(connection, actor, Action.KEY_ADD, audit.named("key", name), after=after)
    return key


def revoke_key(connection: psycopg.Connection, name: str, actor: Actor) -> bool:
    """Revoke an API key at once; its bulk actions stop. False: there is no key of this name."""
    with connection.transaction():
        revoked = api_keys.revoke(connection, name)
        if revoked:
            bulk_actions.stop_all_of(connection, f"key:{name}", actor)
            audit.record(connection, actor, Action.KEY_REVOKE, audit.named("key", name))
    return revoked
