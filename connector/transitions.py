"""The steps a text can take, each with the states it may come from: whatever is not here does not happen.

Which of them are taken, and when, is the business of delivery; that each is taken at most once, the ledger's. A step
that a worker takes names the revision of the text that it starts from, so that it is not taken by one who read an older
one. A step out of `sending` names its claim, which is the revision that made it `sending`.

docs/reliability.md draws all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.model import Accepted, Chat, Skip, State

# What the policy looked at and said: {"check", "said", "why"} of each finding.
Trace = list[dict[str, Any]]

UNDECIDED = (State.RECEIVED, State.QUEUED)
SENDING = (State.SENDING,)


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of one text. The fields are those of the query `move`; `after` in seconds queues it again.

    `revision`: the one that the step starts from; None: whichever it is, for what people do. `suspected`: it alone was
    refused; `as_all`: it met what all would meet. `unclear`: the call has no clear answer; `if_unclear`: what to say
    instead where an earlier one has none. `accepted`: how a trigger was accepted, noted the first time.
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

    @property
    def answers(self) -> bool:
        """Whether it is what became of a call."""
        return self.from_states == SENDING


def sent(text: int, claim: int, chat: Chat) -> Transition:
    """The platform has made a chat of it."""
    return Transition(text, SENDING, State.SENT, revision=claim, chat=_known(chat), tell=True)


def unknown(text: int, claim: int, why: str, after: float | None = None) -> Transition:
    """It may have been sent: for a person to find out. `after`: it gets its one more try in so many seconds."""
    return Transition(text, SENDING, State.UNKNOWN, why, claim, tell=True, after=after, unclear=True)


def refused(text: int, claim: int, why: str, if_unclear: str = "") -> Transition:
    """Certainly not sent by this call, and not tried again: its reason may be used by another text."""
    return Transition(text, SENDING, State.FAILED, why, claim, tell=True, release=True, if_unclear=if_unclear)


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
) -> Transition:
    """Certainly not sent by this call; queued again in `after` seconds. `tried`: it counts as one of a text's tries."""
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
    )


def failed(text: int, why: str, revision: int | None = None) -> Transition:
    """Never called, and not to be tried again: its reason may be used by another text."""
    return Transition(text, UNDECIDED, State.FAILED, why, revision, tell=True, release=True)


def put_off(text: int, revision: int, why: str, after: float) -> Transition:
    """Its ticket alone could not be read: decided anew in so many seconds."""
    return Transition(text, UNDECIDED, State.QUEUED, why, revision, tried=True, release=True, after=after)


def skipped(text: int, skip: Skip, trace: Trace | None = None, revision: int | None = None) -> Transition:
    """Nobody is texted; the ticket learns why, if it asked."""
    return Transition(text, UNDECIDED, State.SKIPPED, skip.why, revision, tell=skip.told, release=True, trace=trace)


def skipped_as(
    text: int, holder: int, trace: Trace | None = None, revision: int | None = None, accepted: Accepted | None = None
) -> Transition:
    """Another text has the same reason; the ticket is told of that one as soon as there is something to tell."""
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
    """Decided once more, at once: the text that this one was to be skipped for is not there any more."""
    return Transition(skip.id, UNDECIDED, State.QUEUED, revision=skip.revision, release=True, after=0, trace=skip.trace)


def held(
    text: int, why: str, seconds: float, trace: Trace, revision: int | None = None, accepted: Accepted | None = None
) -> Transition:
    """Not now: it is decided anew in so many seconds, and can be cancelled until then. It keeps no reason meanwhile."""
    return Transition(
        text, UNDECIDED, State.QUEUED, why, revision, release=True, after=seconds, trace=trace, accepted=accepted
    )


def taken_back(text: int, why: str) -> Transition:
    """As if it had never been asked for: its reason may be used by another text. The ticket hears nothing, unless it
    was told something of this text before.
    """
    return Transition(text, UNDECIDED, State.CANCELLED, why, release=True)


def cancelled(text: int, why: str) -> Transition:
    """Somebody took it back before it was sent: its reason may be used by another text."""
    return Transition(text, UNDECIDED, State.CANCELLED, why, tell=True, release=True)


def found(text: int, chat: Chat, why: str) -> Transition:
    """An unknown text turned out to have been sent: somebody knows its chat."""
    return Transition(text, (State.UNKNOWN,), State.SENT, why, chat=_known(chat), tell=True)


def not_sent(text: int, why: str) -> Transition:
    """An unknown text turned out not to have been sent: its reason may be used by another text."""
    return Transition(text, (State.UNKNOWN,), State.FAILED, why, tell=True, release=True)


def _known(chat: Chat) -> dict[str, Any]:
    return {"id": chat.id, "status": chat.status}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a text is when an answer to one of its calls comes that is not simply its next step.

    `unclear` are the claims whose calls have no clear answer. `chat` is what it was sent as, if it was.
    """

    id: int
    state: State
    revision: int
    unclear: Sequence[int]
    chat: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Late:
    """What an answer that came late does: a step (or none), the claims that stay unclear, and a note for the history.

    `chat`: it is noted while another call of the same text is under way.
    """

    move: Transition | None
    unclear: Sequence[int]
    note: str = ""
    chat: dict[str, Any] | None = None


def on_late_answer(standing: Standing, answer: Transition) -> Late:
    """What becomes of an answer whose text has been given up meanwhile, or called once more. No answer is dropped.

    A chat is a fact, whatever was said before. A clear refusal makes the text certain once no other call of it is
    unclear. What a person has settled otherwise is contradicted, loudly.
    """
    claim = answer.revision
    others = [one for one in standing.unclear if one != claim]
    if standing.state is State.SENDING and standing.revision == claim:
        return _on_second_answer(standing, answer, others)
    if answer.to_state is State.SENT:
        return _on_late_chat(standing, answer, others)
    if answer.to_state is State.UNKNOWN or claim not in standing.unclear:
        return Late(None, standing.unclear)  # nothing new
    return _on_late_refusal(standing, answer, others)


def _on_second_answer(standing: Standing, answer: Transition, others: Sequence[int]) -> Late:
    """The answer to the one more try of a text whose first call is unclear, or has been answered meanwhile."""
    if answer.to_state is State.SENT:
        two = (
            f"chat {standing.chat['id']} was made by an earlier call: the customer may have two texts"
            if (standing.chat and standing.chat["id"] != (answer.chat or {}).get("id"))
            else None
        )
        return Late(replace(answer, contradicted=two), [])
    if standing.chat:
        return Late(
            replace(
                answer,
                to_state=State.SENT,
                chat=standing.chat,
                why="",
                tell=True,
                release=False,
                after=None,
                tried=False,
            ),
            others,
        )
    if answer.to_state is not State.UNKNOWN and others:
        why = answer.if_unclear or f"unknown, and a second try sent nothing ({answer.why})"
        return Late(Transition(answer.id, SENDING, State.UNKNOWN, why, answer.revision, tell=True), others)
    return Late(answer, others)


def _on_late_chat(standing: Standing, answer: Transition, others: Sequence[int]) -> Late:
    chat = answer.chat or {}
    if standing.state is State.SENDING:
        return Late(None, others, f"an earlier call was answered: chat {chat['id']}", chat)
    if standing.state is State.UNKNOWN:
        return Late(replace(answer, from_states=(State.UNKNOWN,), revision=standing.revision), others)
    if standing.state is State.SENT and (standing.chat or {}).get("id") == chat["id"]:
        return Late(None, others)
    said = {
        State.SENT: f"it had been settled as chat {(standing.chat or {}).get('id')}",
        State.FAILED: "it had been settled as not sent; the same reason may have been texted since",
    }.get(standing.state, f"it was {standing.state}")
    why = f"CCAI Platform's answer came late: chat {chat['id']}; {said}"
    return Late(
        replace(answer, from_states=(standing.state,), revision=standing.revision, why=why, contradicted=why), others
    )


def _on_late_refusal(standing: Standing, answer: Transition, others: Sequence[int]) -> Late:
    note = f"an earlier call was answered: {answer.why}"
    if standing.state is State.UNKNOWN and not others:
        return Late(replace(answer, from_states=(State.UNKNOWN,), revision=standing.revision), others)
    if standing.state is State.SENT and not others:
        chat = (standing.chat or {}).get("id")
        why = f"CCAI Platform's answer came late: refused ({answer.why}); it had been settled as chat {chat}"
        kept = Transition(answer.id, (State.SENT,), State.SENT, why, standing.revision, tell=True, contradicted=why)
        return Late(kept, others)
    return Late(None, others, note)
