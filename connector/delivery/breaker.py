"""This worker's side of the circuit breakers: what it meets is known to all workers, and to its own gate at once."""

from typing import Any

import psycopg
import structlog

from connector.delivery.backpressure import Backpressure
from connector.model import Text
from connector.store import circuit_breaker
from connector.store.circuit_breaker import Closed
from connector.store.postgres import Asking

log = structlog.get_logger()


class Breaker:
    """One per worker process. Accounts by name: circuit_breaker.PLATFORM, or a CRM's."""

    def __init__(self, ask: Asking, gate: Backpressure) -> None:
        self._ask, self._gate = ask, gate
        self._passed: set[str] = set()

    def closed(self, name: str) -> Closed | None:
        """Why the account was not to be used a moment ago."""
        return self._gate.closed.get(name)

    def outdated(self, name: str) -> bool:
        """Whether other workers have a newer mapping for this CRM."""
        return name in self._gate.outdated

    async def hold(self, name: str, why: str, seconds: float | None = None) -> None:
        """The account asked for a pause of so many seconds, or cannot be reached."""
        if name not in self._gate.closed:  # else it has been said
            log.warning("an account cannot be used; it is tried again", account=name, why=why)
        await self._close(circuit_breaker.hold, name, why, seconds)

    async def stop(self, name: str, why: str, text: int | None = None) -> None:
        """The account refuses what all would meet; `text`: whose call it was, which may be to blame itself."""
        if await self._close(circuit_breaker.stop, name, why, text, text is None):
            log.error(
                "an account is stopped: put it right; it goes on by itself, or with: connector resume",
                account=name,
                why=why,
            )

    async def alone(self, name: str, text: Text) -> bool:
        """Whether this text was refused before, and others have passed since: then it is the text's own fault."""
        if text.refused_at is None:
            return False
        return name in self._passed or bool(await self._asked(circuit_breaker.alone, name, text.id, text.refused_at))

    def passed(self, name: str) -> None:
        """A call had an answer that no setting is to blame for. Everybody hears of it within a second."""
        self._passed.add(name)

    def take_passed(self) -> set[str]:
        """Those that were passed since the last time."""
        passed, self._passed = self._passed, set()
        return passed

    async def _close(self, how: Any, *what: Any) -> Any:
        done = await self._asked(how, *what)
        if (closed := await self._asked(circuit_breaker.look_all)) is not None:
            self._gate.closed = closed
        return done

    async def _asked(self, question: Any, *what: Any) -> Any:
        """None where the database does not answer: the text's outcome matters more, and the next meets the same."""
        try:
            return await self._ask(question, *what)
        except psycopg.Error as error:
            log.error("a breaker could not be asked", why=type(error).__name__)
            return None
