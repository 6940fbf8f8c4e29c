"""What an answer means that arrives after its text was given up, or called again. No answer is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.model import State
from connector.transitions import SENDING, Transition


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a text when an answer to one of its calls arrives that is not simply its next transition.

    `unclear` are the claims whose calls have no clear answer. `chat` is what it was sent as, if it was sent.
    """

    id: int
    state: State
    revision: int
    unclear: Sequence[int]
    chat: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Late:
    """The effect of a late answer: a transition (or none), the claims that stay unclear, and a note for the history.

    `chat`: stored while another call of the same text is in progress.
    """

    move: Transition | None
    unclear: Sequence[int]
    note: str = ""
    chat: dict[str, Any] | None = None


def decide(standing: Standing, answer: Transition) -> Late:
    """Decide the effect of an answer whose text was given up, or called again, meanwhile. No answer is dropped.

    A chat is a fact, whatever was stored before. A clear refusal settles the text once no other call of it is unclear.
    An answer that contradicts a person's decision is reported as a contradiction.
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
    """Handle the answer to the retry of a text whose first call is unclear, or was answered meanwhile."""
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
                code=None,
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
