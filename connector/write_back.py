"""Tells the tickets. Repeated on its own, for as long as it takes; it never causes another text."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor

import structlog
from psycopg_pool import ConnectionPool

from connector import backoff, ledger
from connector.crms import MOST, Change, Crm
from connector.errors import Blame, CallFailed, Refused, Unavailable
from connector.grouping import Group
from connector.mapping import Mapping as TicketMapping
from connector.model import Outcome
from connector.templates import CannotApply

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 1800.0


class WriteBack:
    """Writes outcomes to tickets, as many in one call as are there. One per worker process."""

    def __init__(
        self,
        pool: ConnectionPool,
        crms: Mapping[str, tuple[Crm, TicketMapping]],
        threads: Executor,
        hold: float,
        more_coming: Callable[[], bool],
    ) -> None:
        """While `more_coming()`, an outcome is held up to `hold` seconds, so that others go with it."""
        self._pool, self._crms = pool, crms
        self._write = Group(self._write_many, threads, MOST, hold, more_coming)

    async def write_back(self, texts: Sequence[int]) -> None:
        """Tell these texts' tickets. When it returns, each has it or another try is queued, committed."""
        await self._write(texts)

    def drain(self) -> None:
        """Hold nothing back any more: the worker stops."""
        self._write.hurry()

    def _write_many(self, texts: Sequence[int]) -> list[None]:
        with self._pool.connection() as connection:
            outcomes, overtaken = ledger.outcomes(connection, texts)
            done = [(text, version, "a newer text has told the ticket") for text, version in overtaken.items()]
            later: dict[int, float] = {}
            for stem in {outcome.crm for outcome in outcomes}:
                crm, mapping = self._crms[stem]
                for outcome, answer in _write(crm, mapping, [one for one in outcomes if one.crm == stem]):
                    pause = _pause(outcome, answer)
                    if pause is None:
                        done.append((outcome.text, outcome.version, str(answer) if answer else None))
                    else:
                        later[outcome.text] = pause
            if done:
                ledger.written(connection, done)
                log.info("tickets told", texts=[text for text, _, refused in done if refused is None])
            if later:
                ledger.write_later(connection, later)
        return [None] * len(texts)


def _write(
    crm: Crm, mapping: TicketMapping, outcomes: Sequence[Outcome]
) -> list[tuple[Outcome, CallFailed | None]]:
    answers: list[tuple[Outcome, CallFailed | None]] = []
    changes: list[Change] = []
    for outcome in outcomes:
        try:
            changes.append((outcome.ticket_id, mapping.write_back(outcome)))
        except CannotApply as error:
            answers.append((outcome, Refused(f"the mapping's write_back.{outcome.state}: {error}", Blame.TICKET)))
    refused = {outcome.text for outcome, _ in answers}
    written = [outcome for outcome in outcomes if outcome.text not in refused]
    return answers + list(zip(written, crm.write(changes) if changes else [], strict=True))


def _pause(outcome: Outcome, answer: CallFailed | None) -> float | None:
    """Seconds until the next try; None: there is none, it was taken or refused for good."""
    if answer is None:
        return None
    if isinstance(answer, Refused) and answer.blame is not Blame.SETTINGS:
        log.error("the CRM refuses an outcome", text=outcome.text, ticket=outcome.ticket_id, why=str(answer))
        return None
    # A wrong setting is put right by a person some time: the longest pause, but never given up.
    first = LONGEST_PAUSE if isinstance(answer, Refused) else FIRST_PAUSE
    asked = answer.retry_after if isinstance(answer, Unavailable) else None
    pause = max(backoff.doubling(outcome.attempts, first, LONGEST_PAUSE), asked or 0)
    log.warning("ticket told later", text=outcome.text, ticket=outcome.ticket_id, seconds=round(pause), why=str(answer))
    return pause
