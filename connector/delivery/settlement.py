"""Commits what became of texts. A result of a call must not be lost, whatever the database does meanwhile."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector.batcher import Batcher
from connector.store import texts
from connector.transitions import Transition

log = structlog.get_logger()

# Seconds between attempts to commit while the database is away; and for how long, once the worker stops.
SETTLE_PAUSE, SETTLE_LAST = 1.0, 10.0


class Settlement:
    """Commit transitions, many at once. One per worker process.

    `lost` counts the outcomes that could not be committed before the worker had to exit.
    """

    def __init__(self, pool: ConnectionPool, threads: Executor) -> None:
        self._pool = pool
        self._move = Batcher(self._move_many, threads, 500)
        self._stops_at: float | None = None
        self.lost = 0

    def drain(self) -> None:
        """The worker is stopping: keep committing for SETTLE_LAST seconds."""
        self._stops_at = asyncio.get_running_loop().time() + SETTLE_LAST

    async def settle(self, moves: Sequence[Transition]) -> None:
        """Commit these transitions. Repeat until the database accepts them, also when it is away, full or read-only:
        a result must not be lost. Give up only when the worker has to exit.
        """
        while moves:
            answers = await self._move(moves)
            moves = [move for move, answer in zip(moves, answers, strict=True) if isinstance(answer, psycopg.Error)]
            if moves and self._is_over():
                self.lost += len(moves)
                for move in moves:
                    log.error(
                        "what became of a text could not be kept before the worker had to end",
                        text=move.id,
                        state=move.to_state,
                        chat=(move.chat or {}).get("id"),
                        why=move.why,
                    )
                return
            if moves:
                await asyncio.sleep(SETTLE_PAUSE)

    def _is_over(self) -> bool:
        return self._stops_at is not None and asyncio.get_running_loop().time() > self._stops_at

    def _move_many(self, moves: Sequence[Transition]) -> list[bool | psycopg.Error]:
        """Whether each transition was applied, or the database's error. The batch is halved to isolate a faulty one."""
        try:
            with self._pool.connection() as connection:
                moved = texts.move(connection, moves)
        except psycopg.Error as error:
            log.error("the database does not take what is known", texts=len(moves), why=type(error).__name__)
            if isinstance(error, psycopg.OperationalError) or len(moves) == 1:
                return [error] * len(moves)
            half = len(moves) // 2
            return self._move_many(moves[:half]) + self._move_many(moves[half:])
        return [move.id in moved for move in moves]
