"""Retry policy: what the result of a call means for its text, and for all texts when the text is not at fault."""

from collections.abc import Collection
from dataclasses import replace

import structlog

from connector import backoff, phone, transitions
from connector.delivery.breaker import Assessment
from connector.delivery.sender import CallResult
from connector.errors import CallFailed, NotSent, OutcomeUnknown, RefusalCode, RefusalScope, Refused, Unavailable
from connector.model import Chat, PhoneProblem, State, Text
from connector.outcome import Hold
from connector.transitions import Transition

log = structlog.get_logger()

DIED = "the connector stopped while the text was being sent"

# Attempts for a text that is alone at fault and whose calls certainly did nothing; and its first and longest pause in
# seconds. The pauses double.
MAX_ATTEMPTS = 12
FIRST_PAUSE, MAX_PAUSE = 2.0, 600.0
# Attempts for a text that alone is refused for a reason that should affect every text; and its first pause in seconds.
# Other texts go first meanwhile.
MAX_SUSPECTED = 3
SUSPECT_PAUSE = 15.0
# Pauses in seconds while the customer is in another session. Each is as long as the text has waited so far; the total
# time is limited, not the attempts.
BUSY_FIRST_PAUSE_SECONDS, BUSY_MAX_PAUSE_SECONDS = 60.0, 900.0
# Seconds before the second attempt of an unknown text, if enabled. Its chat may be found in the meantime.
TRY_AGAIN_PAUSE = 60.0
# What the ticket shows meanwhile. Without a time: it changes with each try.
BUSY = Hold("the customer is in another chat")


class RetryPolicy:
    """Decide the next transition of a text. One per worker process.

    A pause that affects all texts is never written into a text.
    """

    def __init__(
        self, busy_seconds: float, try_unknown_again: bool = False, notify_holds: Collection[str] = ()
    ) -> None:
        """`busy_seconds`: how long a text waits while its customer is in another session.

        `notify_holds`: the CRMs whose tickets show what their texts wait for.
        """
        self._busy_seconds, self._try_unknown_again, self._notify_holds = busy_seconds, try_unknown_again, notify_holds

    def after_reading(self, text: Text, error: CallFailed) -> Transition:
        """The transition of a text whose ticket alone could not be read. Nothing was sent."""
        passing = isinstance(error, Unavailable) and text.attempts < MAX_ATTEMPTS
        odd = isinstance(error, Refused) and error.scope is RefusalScope.SETTINGS and text.attempts < MAX_SUSPECTED - 1
        if text.attended or not (passing or odd):
            log.warning("text failed", text=text.id, ticket=text.ticket_id, why=str(error))
            return transitions.failed(text.id, str(error), text.revision)
        pause = backoff.doubling(text.attempts, SUSPECT_PAUSE if odd else FIRST_PAUSE, MAX_PAUSE)
        log.warning("text held back", text=text.id, ticket=text.ticket_id, seconds=round(pause), why=str(error))
        return transitions.put_off(text.id, text.revision, str(error), pause)

    def after_call(self, text: Text, result: CallResult, assessment: Assessment) -> Transition:
        """Return the transition of a text whose call had this result."""
        claim, outcome, masked = result.claim, result.outcome, phone.mask(result.sms.end_user_number)
        if isinstance(outcome, Chat):
            log.info(
                "text sent", text=text.id, ticket=text.ticket_id, to=masked, chat=outcome.id, status=outcome.status
            )
            return transitions.sent(text.id, claim, outcome)
        if isinstance(outcome, OutcomeUnknown):
            first = self._try_unknown_again and text.state is not State.UNKNOWN
            return _unknown(text, claim, str(outcome), backoff.jittered(TRY_AGAIN_PAUSE) if first else None, to=masked)
        transition = self._after_nothing_sent(text, claim, outcome, assessment)
        if text.state is State.UNKNOWN:
            log.error("the outcome stays unknown", text=text.id, ticket=text.ticket_id, why=transition.if_unclear)
        return transition

    def _after_nothing_sent(
        self, text: Text, claim: int, outcome: NotSent | Unavailable | Refused, assessment: Assessment
    ) -> Transition:
        """Return the transition after a call that certainly did nothing."""
        if isinstance(outcome, NotSent):
            return _again(text, claim, outcome, backoff.jittered(1))
        if isinstance(outcome, Unavailable):
            return self._unavailable(text, claim, outcome, assessment)
        if outcome.scope is RefusalScope.BUSY:
            return self._busy(text, claim, outcome)
        if outcome.scope is RefusalScope.SETTINGS or assessment.tripped:
            return self._suspect(text, claim, outcome, assessment)
        return _refused(text, claim, outcome)

    def _unavailable(self, text: Text, claim: int, outcome: Unavailable, assessment: Assessment) -> Transition:
        """The platform could not be reached. That counts against a text only if other calls succeed meanwhile."""
        counts = assessment.own or text.attended
        if counts and text.attempts >= MAX_ATTEMPTS:
            return _refused(text, claim, outcome)
        pause = backoff.doubling(text.attempts, FIRST_PAUSE, MAX_PAUSE) if counts else 0
        return _again(text, claim, outcome, pause, tried=counts, as_all=True)

    def _suspect(self, text: Text, claim: int, outcome: Refused, assessment: Assessment) -> Transition:
        """The refusal seems to affect every text. An agent's text fails at once; others wait for the fault's end."""
        again_and_again = assessment.own and text.suspected >= MAX_SUSPECTED - 1
        if text.attended or again_and_again:
            return _refused(text, claim, outcome)
        counts = assessment.own or text.refused_at is None
        pause = backoff.doubling(text.suspected, SUSPECT_PAUSE, MAX_PAUSE) if assessment.own else 0
        return _again(text, claim, outcome, pause, suspected=counts, as_all=True)

    def _busy(self, text: Text, claim: int, error: Refused) -> Transition:
        waited = text.busy_for or 0
        pause = backoff.jittered(min(max(waited, BUSY_FIRST_PAUSE_SECONDS), BUSY_MAX_PAUSE_SECONDS))
        if not text.attended and waited + pause <= self._busy_seconds:
            later = _again(text, claim, error, pause, busy=True)
            return replace(later, hold=BUSY) if text.crm in self._notify_holds else later
        return _refused(text, claim, error)


def _again(text: Text, claim: int, error: CallFailed, pause: float, **counted: bool) -> Transition:
    log.warning("text held back", text=text.id, ticket=text.ticket_id, seconds=round(pause), why=str(error))
    return transitions.again(
        text.id, claim, str(error), pause, if_unclear=_if_unclear(error), code=_code(error), **counted
    )


def _refused(text: Text, claim: int, error: CallFailed) -> Transition:
    level = log.error if isinstance(error, Refused) and error.scope is RefusalScope.SETTINGS else log.warning
    level("text failed", text=text.id, ticket=text.ticket_id, why=str(error))
    code = _code(error)
    problem = PhoneProblem.REFUSED if code is RefusalCode.INVALID_NUMBER else None
    return transitions.refused(text.id, claim, str(error), _if_unclear(error), problem, code)


def _code(error: CallFailed) -> RefusalCode | None:
    return error.code if isinstance(error, Refused) else None


def _if_unclear(error: CallFailed) -> str:
    """The reason to record if an earlier call may have sent the text and this one sent nothing."""
    if isinstance(error, Refused) and error.scope is RefusalScope.BUSY:
        return f"probably sent: a second try was refused ({error})"
    return f"unknown, and a second try sent nothing ({error})"


def _unknown(text: Text, claim: int, why: str, after: float | None = None, **known: str) -> Transition:
    log.error("the outcome is unknown", text=text.id, ticket=text.ticket_id, why=why, **known)
    return transitions.unknown(text.id, claim, why, after)
