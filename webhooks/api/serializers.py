"""Texts and previews in the form of the API and the page."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connector import phone
from connector.errors import RefusalCode
from connector.model import OUTCOMES, State
from connector.policy import segments
from connector.policy.findings import Said
from connector.preview import Preview
from connector.store.text_views import WriteBackState, write_back_state
from webhooks.api import plain_words, schemas

SAID = {
    State.RECEIVED: "It is being looked at.",
    State.QUEUED: "It waits for its turn.",
    State.SENDING: "It is being sent.",
    State.SKIPPED: "Not sent: {why}.",
    State.FAILED: "Not sent: {why}.",
    State.UNKNOWN: "It is not known whether it was sent: {why}. It is not sent again by itself.",
    State.CANCELLED: "Not sent: {why}.",
}
# Digits of a number that an agent sees: enough to recognize it while the customer is on the line.
SHOWN_DIGITS = 4
# Replaces SAID while no worker is running.
STALLED = {
    State.RECEIVED: "It waits: nothing is being sent now, because no worker of the connector is running.",
    State.QUEUED: "It waits: nothing is being sent now, because no worker of the connector is running.",
    State.SENDING: "It was being sent when the connector's worker ended. The next worker finds out what became of it.",
}


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def text(row: Mapping[str, Any], duplicate: bool = False) -> schemas.Text:
    """A text, from a row of the text service."""
    state, sms, ask, chat = State(row["state"]), row["sms"] or {}, row["ask"] or {}, row["chat"] or {}
    message = sms.get("message") or ask.get("message") or ""
    leaves_at = utc(row["leaves_at"]) if row["leaves_at"] else ""
    scheduled = bool(leaves_at and ask.get("send_at") and state is State.RECEIVED)
    return schemas.Text(
        id=row["id"],
        crm=row["crm"],
        ticket_id=row["ticket_id"],
        channel=row["channel"],
        state=state,
        final=state in OUTCOMES,
        said=_said(state, _why(state, row), chat, leaves_at, row["worker"], row["pause"], scheduled=scheduled),
        why=row["why"],
        to=phone.mask(sms["end_user_number"], SHOWN_DIGITS) if sms else "",
        message=message,
        segments=segments.measure(message).segments,
        chat_id=chat.get("id", 0),
        chat_status=chat.get("status", ""),
        chat_ended=chat.get("ended", False),
        agent=ask.get("agent_name") or ask.get("agent_email") or "",
        reason=ask.get("reason_name") or "",
        ticket_told=write_back_state(row) is WriteBackState.WRITTEN,
        cancellable=state in (State.RECEIVED, State.QUEUED),
        duplicate=duplicate,
        requested_at=utc(row["received_at"]),
        changed_at=utc(row["changed_at"]),
        leaves_at=leaves_at,
        send_at=utc(datetime.fromisoformat(ask["send_at"])) if ask.get("send_at") else "",
        pause=row["pause"],
    )


def _said(
    state: State, why: str, chat: Mapping[str, Any], leaves_at: str, worker: bool, pause: str, *, scheduled: bool
) -> str:
    if state is State.SENT:
        return f"Sent. Chat {chat.get('id')} is {chat.get('status') or 'open'}."
    if scheduled:
        return f"It is {why}."
    if pause:
        return f"It waits: {pause.rstrip('.')}."
    if leaves_at:
        return f"It waits until {leaves_at}: {why}."
    if not worker and state in STALLED:
        return STALLED[state]
    return SAID[state].format(why=why.rstrip(".") or "no reason was given")


def _why(state: State, row: Mapping[str, Any]) -> str:
    """Return why, for agents: a refusal of the platform in plain words."""
    if state is State.FAILED and row["code"]:
        return plain_words.OF_CODE[RefusalCode(row["code"])]
    why: str = row["why"]
    return why


def preview(stem: str, found: Preview) -> schemas.Preview:
    """A preview, with masked numbers."""
    against = found.against
    sms = found.sms
    return schemas.Preview(
        crm=stem,
        ticket_id=found.ticket.id,
        number=found.number,
        customer=found.customer,
        to=phone.mask(sms.end_user_number, SHOWN_DIGITS) if sms else "",
        **{"from": sms.outbound_number if sms else ""},
        message=sms.message if sms else "",
        encoding=found.size.encoding,
        segments=found.size.segments,
        segments_most=found.max_segments,
        characters=len(sms.message) if sms else 0,
        language=found.language.language,
        language_why=found.language.why,
        languages=list(found.languages),
        send_at=utc(found.send_at) if found.send_at else "",
        allowed=sms is not None and not against,
        overridable=sms is not None and all(one.overridable for one in against),
        why="; ".join(one.why for one in found.findings if one.said in (Said.STOP, Said.HOLD, Said.WARN)),
        findings=[
            schemas.Finding(id=one.id, check=one.check, verdict=one.said, why=one.why, overridable=one.overridable)
            for one in found.findings
        ],
        templates=[
            schemas.Template(name=one.name, label=one.label, message=one.message, language=one.language)
            for one in found.templates
        ],
        after=found.after,
    )
