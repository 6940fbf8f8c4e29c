"""The transitions of a text, each with the states that it may start from. No other transition is possible.

Delivery decides which of them are made, and when; the store ensures that each is made at most once. A transition by a
worker names the revision of the text that it starts from, so that it fails if the worker has read an older one. A
transition out of `sending` names its claim, which is the revision that made it `sending`.

docs/reliability.md has a diagram of all of them.
"""

from dataclasses import dataclass
from typing import Any

from connector.errors import RefusalCode
from connector.model import Accepted, Chat, PhoneProblem, Skip, State
from connector.outcome import Hold

# The findings of the policy: {"check", "said", "why"} of each.
Trace = list[dict[str, Any]]

UNDECIDED = (State.RECEIVED, State.QUEUED)
SENDING = (State.SENDING,)


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition of one text. The fields are those of the query `move`; `after` in seconds queues it again.

    `revision`: the revision that the transition starts from; None: any, for actions of operators. `suspected`: this
    text alone was refused; `as_all`: the refusal would affect all texts. `unclear`: the call has no clear answer;
    `if_unclear`: the reason to give instead where an earlier call has none. `accepted`: how a trigger was accepted,
    stored the first time. `phone_problem`: the fault lies with the customer's number. `number` (E.164): whom the
    text is meant for; stored as a keyed hash. `rule`: that of the decision. `code`: that of the platform's refusal, if
    it has one. `hold`: what the ticket is to show while the text waits.
    """

    id: int
    from_states: tuple[State, ...]
    to_state: State
    why: str = ""
    revision: int | None = None
    chat: dict[str, Any] | None = None
    same_as: int | None = None
    tell: bool = False
    release: bool = False
    tried: bool = False
    busy: bool = False
    suspected: bool = False
    as_all: bool = False
    after: float | None = None
    trace: Trace | None = None
    accepted: Accepted | None = None
    contradicted: str | None = None
    unclear: bool = False
    if_unclear: str = ""
    phone_problem: PhoneProblem | None = None
    number: str | None = None
    rule: str | None = None
    code: RefusalCode | None = None
    hold: Hold | None = None

    @property
    def answers(self) -> bool:
        """Return whether the transition is the result of a call."""
        return self.from_states == SENDING


def sent(text: int, claim: int, chat: Chat) -> Transition:
    """Mark the text as sent: the platform has created a chat."""
    return Transition(text, SENDING, State.SENT, revision=claim, chat=_known(chat), tell=True)


def unknown(text: int, claim: int, why: str, after: float | None = None) -> Transition:
    """Mark the text as possibly sent, for an operator to settle. `after`: seconds until its single retry."""
    return Transition(text, SENDING, State.UNKNOWN, why, claim, tell=True, after=after, unclear=True)


def maybe_sent(text: int, revision: int, why: str) -> Transition:
    """Mark a text that waited as possibly sent: the database was restored, and does not know."""
    return Transition(text, UNDECIDED, State.UNKNOWN, why, revision, tell=True)


def refused(
    text: int,
    claim: int,
    why: str,
    if_unclear: str = "",
    phone_problem: PhoneProblem | None = None,
    code: RefusalCode | None = None,
) -> Transition:
    """Fail the text: certainly not sent by this call, and not retried. Another text may use its reason.

    With the code OPTED_OUT the number is added to the suppression list and the CRM's field is set, too.
    """
    return Transition(
        text,
        SENDING,
        State.FAILED,
        why,
        claim,
        tell=True,
        release=True,
        if_unclear=if_unclear,
        phone_problem=phone_problem,
        code=code,
    )


def again(
    text: int,
    claim: int,
    why: str,
    after: float,
    tried: bool = False,
    busy: bool = False,
    suspected: bool = False,
    as_all: bool = False,
    if_unclear: str = "",
    code: RefusalCode | None = None,
) -> Transition:
    """Queue again in `after` seconds: certainly not sent by this call. `tried`: it counts as an attempt."""
    return Transition(
        text,
        SENDING,
        State.QUEUED,
        why,
        claim,
        tried=tried,
        busy=busy,
        suspected=suspected,
        as_all=as_all,
        after=after,
        if_unclear=if_unclear,
        code=code,
    )


def failed(text: int, why: str, revision: int | None = None) -> Transition:
    """Fail a text that was never sent, without a retry. Another text may use its reason."""
    return Transition(text, UNDECIDED, State.FAILED, why, revision, tell=True, release=True)


def put_off(text: int, revision: int, why: str, after: float) -> Transition:
    """Decide again in `after` seconds: of all tickets, only this text's could not be read."""
    return Transition(text, UNDECIDED, State.QUEUED, why, revision, tried=True, release=True, after=after)


def skipped(text: int, skip: Skip, trace: Trace | None = None, revision: int | None = None) -> Transition:
    """Skip the text. The ticket is notified of the reason, if it asked for a text."""
    return Transition(
        text,
        UNDECIDED,
        State.SKIPPED,
        skip.why,
        revision,
        tell=skip.notify,
        release=True,
        trace=trace,
        accepted=skip.accepted,
        phone_problem=PhoneProblem.UNUSABLE if skip.check == "phone" else None,
    )


def skipped_as(
    text: int, holder: int, trace: Trace | None = None, revision: int | None = None, accepted: Accepted | None = None
) -> Transition:
    """Skip the text for another with the same reason. The ticket is notified of that text's outcome when known."""
    why = f"text {holder} is for the same reason"
    return Transition(
        text,
        UNDECIDED,
        State.SKIPPED,
        why,
        revision,
        same_as=holder,
        tell=True,
        release=True,
        trace=trace,
        accepted=accepted,
    )


def anew(skip: Transition) -> Transition:
    """Decide again at once: the text that this one was to be skipped for no longer exists."""
    return Transition(skip.id, UNDECIDED, State.QUEUED, revision=skip.revision, release=True, after=0, trace=skip.trace)


def over_budget(text: int, revision: int, why: str) -> Transition:
    """Decide again at once: the day's budget was used up since the text was decided."""
    return Transition(text, UNDECIDED, State.QUEUED, why, revision, release=True, after=0)


def held(
    text: int,
    why: str,
    seconds: float,
    trace: Trace,
    revision: int | None = None,
    accepted: Accepted | None = None,
    number: str | None = None,
) -> Transition:
    """Decide again in so many seconds. Until then, the text can be cancelled and reserves no reason.

    `number` (E.164): an opt-out of this number ends the text.
    """
    return Transition(
        text,
        UNDECIDED,
        State.QUEUED,
        why,
        revision,
        release=True,
        after=seconds,
        trace=trace,
        accepted=accepted,
        number=number,
    )


def paused(text: int, revision: int, hold: Hold, accepted: Accepted | None, number: str) -> Transition:
    """Queue a text that was not decided before, for the end of a pause. It is decided then; it reserves no reason.

    `number` (E.164): an opt-out of this number ends the text. `hold`: what the ticket is to show.
    """
    return Transition(
        text,
        UNDECIDED,
        State.QUEUED,
        revision=revision,
        release=True,
        after=0,
        accepted=accepted,
        number=number,
        hold=hold,
    )


def decide_again(text: int) -> Transition:
    """Decide a waiting text again at once: what is known of its number has changed."""
    return Transition(text, UNDECIDED, State.QUEUED, release=True, after=0)


def taken_back(text: int, why: str) -> Transition:
    """Withdraw the text as if it had never been requested. Another text may use its reason.

    The ticket is notified only if it was notified of this text before.
    """
    return Transition(text, UNDECIDED, State.CANCELLED, why, release=True)


def cancelled(text: int, why: str) -> Transition:
    """Cancel the text before it is sent, on request. Another text may use its reason."""
    return Transition(text, UNDECIDED, State.CANCELLED, why, tell=True, release=True)


def found(text: int, chat: Chat, why: str) -> Transition:
    """Settle an unknown text as sent: its chat has become known."""
    return Transition(text, (State.UNKNOWN,), State.SENT, why, chat=_known(chat), tell=True)


def not_sent(text: int, why: str) -> Transition:
    """Settle an unknown text as not sent. Another text may use its reason."""
    return Transition(text, (State.UNKNOWN,), State.FAILED, why, tell=True, release=True)


def _known(chat: Chat) -> dict[str, Any]:
    return {"id": chat.id, "status": chat.status}
