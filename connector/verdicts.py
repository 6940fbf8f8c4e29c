"""What an outcome of a call means: for its text, and for all of them where it is not the text's own fault."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from connector import backoff, phone, steps
from connector.ccaip import NON_US
from connector.errors import Blame, OutcomeUnknown, Refused, Unavailable
from connector.model import Chat, Door, OutboundSms, State, Text
from connector.sending import Outcome
from connector.steps import Move

log = structlog.get_logger()

DIED = "the connector stopped while the text was being sent"

# A call that certainly did nothing is tried so many times, with pauses that double from the first to the longest.
MOST_ATTEMPTS = 12
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0
# All wait for this long together when the platform cannot be reached: doubling too, with the text's own tries.
FIRST_HOLD, LONGEST_HOLD = 1.0, 60.0
# While the customer is in another session: as long again as it has been waiting, and the time is bounded instead.
BUSY_FIRST_PAUSE, BUSY_LONGEST_PAUSE = 60.0, 900.0
# Seconds before an unknown text is tried once more, where the settings say so: the chat may show by then.
TRY_AGAIN_PAUSE = 60.0
# So many refusals in a row for numbers outside the US, each of another ticket: it is the outbound number then.
MOST_NON_US = 5


class Verdicts:
    """Decides what happens next. One per worker process."""

    def __init__(
        self,
        stop: Callable[[str], Awaitable[None]],
        hold: Callable[[float], Awaitable[None]],
        busy_seconds: float,
        try_unknown_again: bool = False,
    ) -> None:
        """`stop` and `hold` close the lane for all workers; `busy_seconds`: how long a text waits for its customer."""
        self._stop, self._hold, self._busy_seconds = stop, hold, busy_seconds
        self._try_unknown_again = try_unknown_again
        self._non_us: set[str] = set()

    def on_reading(self, text: Text, error: Refused | Unavailable) -> Move:
        """The ticket could not be read: nothing was sent."""
        if isinstance(error, Unavailable) and text.attempts < MOST_ATTEMPTS:
            return _again(text, error)
        return _failed(text, error)

    def on_death(self, text: Text) -> Move:
        """Its worker died in the middle of the call."""
        return _unknown(text, DIED)

    async def on_sending(self, text: Text, sms: OutboundSms, outcome: Outcome) -> Move:
        """The next step of a text after its call."""
        masked = phone.mask(sms.end_user_number)
        if not _is_non_us(outcome):
            self._non_us.clear()
        if isinstance(outcome, Chat):
            log.info(
                "text sent", text=text.id, ticket=text.ticket_id, to=masked, chat=outcome.id, status=outcome.status
            )
            return steps.sent(text.id, outcome)
        if isinstance(outcome, OutcomeUnknown):
            first = self._try_unknown_again and text.state is not State.UNKNOWN
            return _unknown(text, str(outcome), backoff.jittered(TRY_AGAIN_PAUSE) if first else None, to=masked)
        stopped = await self._close_lane(text, outcome)
        if text.state is State.UNKNOWN:
            return _still_unknown(text, outcome)
        if isinstance(outcome, Unavailable):
            return _again(text, outcome) if text.attempts < MOST_ATTEMPTS else _failed(text, outcome)
        if outcome.blame is Blame.BUSY:
            return self._busy(text, outcome)
        # A person waits for an answer; whatever else there is waits until the setting is put right.
        if stopped and text.door is not Door.AGENT:
            return steps.again(text.id, str(outcome), 0, tried=False)
        return _failed(text, outcome)

    async def _close_lane(self, text: Text, outcome: Unavailable | Refused) -> bool:
        """Hold or stop everybody where all would meet the same. Whether texting is stopped now."""
        if isinstance(outcome, Unavailable):
            pause = outcome.retry_after
            await self._hold(backoff.doubling(text.attempts, FIRST_HOLD, LONGEST_HOLD) if pause is None else pause)
            return False
        if _is_non_us(outcome):
            self._non_us.add(text.ticket_id)
        if outcome.blame is not Blame.SETTINGS and len(self._non_us) < MOST_NON_US:
            return False
        self._non_us.clear()
        await self._stop(str(outcome))
        return True

    def _busy(self, text: Text, error: Refused) -> Move:
        waited = (datetime.now(UTC) - text.busy_since).total_seconds() if text.busy_since else 0
        pause = backoff.jittered(min(max(waited, BUSY_FIRST_PAUSE), BUSY_LONGEST_PAUSE))
        if text.door is not Door.AGENT and waited + pause <= self._busy_seconds:
            return steps.again(text.id, str(error), pause, busy=True, tried=False)
        return _failed(text, error)


def _is_non_us(outcome: object) -> bool:
    return isinstance(outcome, Refused) and str(outcome) == NON_US


def _again(text: Text, error: Unavailable) -> Move:
    pause = max(backoff.doubling(text.attempts, FIRST_PAUSE, LONGEST_PAUSE), error.retry_after or 0)
    log.warning("text held back", text=text.id, ticket=text.ticket_id, seconds=round(pause), why=str(error))
    return steps.again(text.id, str(error), pause)


def _failed(text: Text, error: Refused | Unavailable) -> Move:
    level = log.error if isinstance(error, Refused) and error.blame is Blame.SETTINGS else log.warning
    level("text failed", text=text.id, ticket=text.ticket_id, why=str(error))
    return steps.failed(text.id, str(error))


def _unknown(text: Text, why: str, after: float | None = None, **known: str) -> Move:
    log.error("the outcome is unknown", text=text.id, ticket=text.ticket_id, why=why, **known)
    return steps.unknown(text.id, why, after)


def _still_unknown(text: Text, error: Refused | Unavailable) -> Move:
    """The one more try of an unknown text sent nothing. What the first one did is as unknown as before."""
    busy = isinstance(error, Refused) and error.blame is Blame.BUSY
    why = (
        f"probably sent: a second try was refused ({error})" if busy
        else f"unknown, and a second try sent nothing ({error})"
    )
    log.error("the outcome stays unknown", text=text.id, ticket=text.ticket_id, why=why)
    return steps.unknown(text.id, why)
