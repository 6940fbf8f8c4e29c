"""The form of the agent page: the agent's draft, its problems, and what the page shows of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.model import TextRequest
from connector.policy import segments
from connector.policy.findings import Said
from webhooks.agent_page import advice
from webhooks.agent_page.sessions import AgentSession
from webhooks.api import schemas

# The API's limits.
MAX_CHARACTERS, MAX_REASON = schemas.MAX_CHARACTERS, 200


@dataclass(frozen=True, slots=True)
class Draft:
    """A form's content. `after`: the newest text that the agent has seen. Only one text can be sent after it.

    `message` None: no input yet. `overrides`: the findings that were shown when `override` was entered.
    `language`: the tag that the agent chose; empty: the ticket decides. `send_on` and `send_time`: a day and a time of
    day, as the browser writes them; empty: at once.
    """

    message: str | None = None
    template: str = ""
    override: str = ""
    overrides: tuple[str, ...] = ()
    after: int = 0
    language: str = ""
    send_on: str = ""
    send_time: str = ""

    def request(self, session: AgentSession, at: datetime | None = None) -> TextRequest:
        """The draft as a request; `at` is the time that it is scheduled for."""
        return TextRequest(
            template=self.template or None if self.message is None else None,
            message=self.message,
            override=self.override,
            overrides=self.overrides if self.override else None,
            language=self.language or None,
            send_at=at.isoformat() if at else None,
            agent_name=session.agent_name or None,
            agent_email=session.agent_email or None,
            agent_id=session.agent_id or None,
        )


def read(form: Mapping[str, str], overrides: tuple[str, ...]) -> Draft:
    """Parse a submitted form, which may hold anything. `overrides` comes from a verified value."""
    return Draft(
        message=_plain(form.get("message", "")),
        template=form.get("template", "")[:200],
        override=" ".join(_plain(form.get("override", "")).split()),
        overrides=overrides,
        after=number(form.get("after", "")) or 0,
        language=language(form.get("language", "")),
        send_on=form.get("send_on", "").strip()[:40],
        send_time=form.get("send_time", "").strip()[:40],
    )


def language(typed: str) -> str:
    """A language's tag, as it was chosen; empty: the ticket decides."""
    return typed.strip()[:40]


def number(typed: str) -> int | None:
    """A text's id; None when the input is not one."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 18 else None


def _plain(typed: str) -> str:
    """Convert the browser's CR LF to LF, and strip the ends."""
    return typed.replace("\r\n", "\n").strip()


@dataclass(frozen=True, slots=True)
class Problems:
    """What keeps a draft from being sent, by the field that can correct it. `hopeless`: no field can."""

    message: str = ""
    override: str = ""
    hopeless: str = ""
    send_at: str = ""

    def __bool__(self) -> bool:
        return bool(self.message or self.override or self.hopeless or self.send_at)


def problems(seen: schemas.Preview, draft: Draft) -> Problems:
    against = [one for one in seen.findings if one.verdict is Said.STOP]
    in_box = [one.why for one in against if one.check in advice.IN_THE_BOX]
    reasons = [one.why for one in against if one.overridable]
    return Problems(
        message=_message(draft) or sentence("; ".join(in_box)),
        override=_override(draft) or _wanted(reasons, draft),
        hopeless=sentence("; ".join(one.why for one in advice.final(seen))),
    )


def _wanted(reasons: Sequence[str], draft: Draft) -> str:
    """The problem shown at the reason's field, when these findings need a reason."""
    if not reasons:
        return ""
    earlier = f" Your reason was given before this was shown: “{draft.override}”." if draft.override else ""
    return f"{sentence('; '.join(reasons))}{earlier} Say why it is sent anyway."


def too_long(draft: Draft) -> Problems:
    """The problems that can be found without the ticket."""
    return Problems(message=_message(draft), override=_override(draft))


def _message(draft: Draft) -> str:
    if draft.message is None or len(draft.message) <= MAX_CHARACTERS:
        return ""
    return f"The message has {len(draft.message)} characters; at most {MAX_CHARACTERS} can be taken."


def _override(draft: Draft) -> str:
    if len(draft.override) > MAX_REASON:
        return f"The reason has {len(draft.override)} characters; at most {MAX_REASON} can be kept."
    if not draft.override.isprintable():
        return "The reason holds a character that cannot be kept."
    return ""


def around(seen: schemas.Preview, draft: Draft) -> tuple[str, str]:
    """The text added before and after the message, so that the page's script can count segments with it."""
    typed = draft.message or ""
    for words in (typed, segments.replace_typographic(typed)):
        if words and words in seen.message:
            before, _, after = seen.message.partition(words)
            return before, after
    return "", ""


def overridable(seen: schemas.Preview) -> tuple[str, ...]:
    """The findings that can be overridden, or already are."""
    return tuple(one.id for one in seen.findings if one.overridable)


def outdated(seen: schemas.Preview, draft: Draft) -> bool:
    """Whether findings have appeared that the given reason does not cover."""
    return bool(draft.override) and not set(overridable(seen)) <= set(draft.overrides)


def wants_reason(seen: schemas.Preview, draft: Draft) -> bool:
    """Whether the field for a reason is shown."""
    return bool(draft.override or overridable(seen))


def sentence(words: str) -> str:
    """Begin with a capital and end with a full stop."""
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".") if words else ""
