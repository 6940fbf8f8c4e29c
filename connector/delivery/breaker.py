"""A worker's interface to the circuit breakers. Reports reach all workers, and this worker's backpressure at once."""

from dataclasses import dataclass
from typing import Any

import psycopg
import structlog

from connector.delivery.backpressure import Backpressure
from connector.delivery.sender import Outcome
from connector.errors import RefusalCode, RefusalScope, Refused, Unavailable
from connector.model import Chat, Text
from connector.store import circuit_breaker, pauses
from connector.store.circuit_breaker import PLATFORM, SendingPaused
from connector.store.postgres import Asking

log = structlog.get_logger()

# Refusals in a row for numbers outside the US, each of another ticket, after which the outbound number is at fault.
MAX_NON_US = 5


@dataclass(frozen=True, slots=True)
class Assessment:
    """The effect of a call on its account. `tripped`: sending is paused; `own`: the text itself is at fault."""

    tripped: bool = False
    own: bool = False


class Breaker:
    """The circuit breakers of all accounts. One per worker process.

    Accounts are named circuit_breaker.PLATFORM or by their CRM.
    """

    def __init__(self, ask: Asking, backpressure: Backpressure) -> None:
        self._ask, self._backpressure = ask, backpressure
        self._passed: set[str] = set()
        self._non_us: set[str] = set()

    def current_pause(self, name: str) -> SendingPaused | None:
        """The pause of this account when it was last read; None: the account was in use."""
        return self._backpressure.paused.get(name)

    def outdated(self, name: str) -> bool:
        """Whether another worker uses a newer mapping for this CRM."""
        return name in self._backpressure.outdated

    async def assess(self, text: Text, outcome: Outcome) -> Assessment:
        """Pause or trip CCAI Platform's account when the failure would affect every text."""
        non_us = isinstance(outcome, Refused) and outcome.code is RefusalCode.NON_US_NUMBER
        if not non_us:
            self._non_us.clear()
        if isinstance(outcome, Unavailable):
            own = await self.alone(PLATFORM, text)
            await self.pause(PLATFORM, str(outcome), outcome.retry_after)
            return Assessment(own=own)
        if isinstance(outcome, Refused) and outcome.scope is RefusalScope.SETTINGS:
            own = await self.alone(PLATFORM, text)
            return Assessment(own=True) if own else await self._trip(text, outcome)
        if non_us:
            self._non_us.add(text.ticket_id)
            return await self._trip(text, outcome) if len(self._non_us) >= MAX_NON_US else Assessment()
        if isinstance(outcome, Chat | Refused):
            self.passed(PLATFORM)
        return Assessment()

    async def _trip(self, text: Text, outcome: Outcome) -> Assessment:
        self._non_us.clear()
        await self.trip(PLATFORM, str(outcome), text.id)
        return Assessment(tripped=True)

    async def pause(self, name: str, why: str, seconds: float | None = None) -> None:
        """Pause the account: it asked for so many seconds, or (None) cannot be reached."""
        if name not in self._backpressure.paused:  # log only the first time
            log.warning("an account cannot be used; it is tried again", account=name, why=why)
        await self._apply(circuit_breaker.pause, name, why, seconds)

    async def trip(self, name: str, why: str, text: int | None = None) -> None:
        """Trip the breaker: the account would refuse every call. `text`: the refused text, possibly at fault itself."""
        if await self._apply(circuit_breaker.trip, name, why, text, text is None):
            log.error(
                "an account is stopped: put it right; it goes on by itself, or with: connector resume",
                account=name,
                why=why,
            )

    async def alone(self, name: str, text: Text) -> bool:
        """Whether this text was refused before and others have succeeded since, so that the text itself is at fault."""
        if text.refused_at is None:
            return False
        return name in self._passed or bool(await self._asked(circuit_breaker.alone, name, text.id, text.refused_at))

    def passed(self, name: str) -> None:
        """Record that a call succeeded, or failed for a reason other than a setting. Shared within a second."""
        self._passed.add(name)

    def take_passed(self) -> set[str]:
        """The accounts that `passed` recorded since the last call."""
        passed, self._passed = self._passed, set()
        return passed

    async def _apply(self, how: Any, *what: Any) -> Any:
        done = await self._asked(how, *what)
        if (found := await self._asked(pauses.everything)) is not None:
            self._backpressure.paused = found.by_account
        return done

    async def _asked(self, question: Any, *what: Any) -> Any:
        """The result; None when the database does not answer, so that the text's outcome is recorded nevertheless."""
        try:
            return await self._ask(question, *what)
        except psycopg.Error as error:
            log.error("a breaker could not be asked", why=type(error).__name__)
            return None
