"""Texts and previews in the form of the API and the page."""

from datetime import UTC, datetime

from connector import phone
from connector.model import State, TextRequest
from connector.policy import segments
from connector.policy.findings import Said
from connector.preview import Preview
from connector.store.text_views import TextStatus, WriteBackState
from connector.transitions import UNDECIDED
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


def text(status: TextStatus, duplicate: bool = False) -> schemas.Text:
    """A text of the text service."""
    sms, chat, request = status.sms, status.chat or {}, status.request or TextRequest()
    message = (sms and sms.message) or request.message or ""
    scheduled = bool(status.leaves_at and request.send_at and status.state is State.RECEIVED)
    return schemas.Text(
        id=status.id,
        crm=status.crm,
        ticket_id=status.ticket_id,
        channel=status.channel,
        state=status.state,
        final=status.is_final,
        said=_said(status, scheduled),
        why=status.why,
        to=phone.mask(sms.end_user_number, SHOWN_DIGITS) if sms else "",
        message=message,
        segments=segments.measure(message).segments,
        chat_id=chat.get("id", 0),
        chat_status=chat.get("status", ""),
        chat_ended=chat.get("ended", False),
        agent=request.agent_name or request.agent_email or "",
        reason=request.reason_name or "",
        ticket_notified=status.write_back is WriteBackState.WRITTEN,
        cancellable=status.state in UNDECIDED,
        duplicate=duplicate,
        requested_at=utc(status.received_at),
        changed_at=utc(status.changed_at),
        leaves_at=utc(status.leaves_at) if status.leaves_at else "",
        send_at=utc(datetime.fromisoformat(request.send_at)) if request.send_at else "",
        pause=status.pause,
    )


def _said(status: TextStatus, scheduled: bool) -> str:
    why = _why(status).rstrip(".")
    if status.state is State.SENT:
        chat = status.chat or {}
        return f"Sent. Chat {chat.get('id')} is {chat.get('status') or 'open'}."
    if scheduled:
        return f"It is {why}."
    if status.pause:
        return f"It waits: {status.pause.rstrip('.')}."
    if status.leaves_at:
        return f"It waits until {utc(status.leaves_at)}: {why}."
    if not status.worker and status.state in STALLED:
        return STALLED[status.state]
    return SAID[status.state].format(why=why or "no reason was given")


def _why(status: TextStatus) -> str:
    """Return why, for agents: a refusal of the platform in plain words."""
    if status.state is State.FAILED and status.code:
        return plain_words.OF_CODE[status.code]
    return status.why


def preview(crm_name: str, found: Preview) -> schemas.Preview:
    """A preview, with masked numbers."""
    against = found.against
    sms = found.sms
    return schemas.Preview(
        crm=crm_name,
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
