"""Plans that the console makes, in a thread of the web process: reading thousands of cases takes minutes."""

import threading
from collections.abc import Sequence

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector.backfill.library import BackFill
from connector.crms import Query
from connector.errors import ConnectorError
from connector.model import TextRequest
from connector.settings import Settings
from connector.store import console_sessions
from connector.store.audit import Actor
from connector.store.console_sessions import Notice

log = structlog.get_logger()


class Planning:
    """One plan at a time for each web process. Thread-safe."""

    def __init__(self, pool: ConnectionPool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._busy = threading.Lock()

    def begin(
        self, session: int, actor: Actor, crm: str, source: Query | Sequence[str], request: TextRequest, one_each: bool
    ) -> bool:
        """Begin to make a plan. The session's next page says what became of it. False: another is being made."""
        if not self._busy.acquire(blocking=False):
            return False
        arguments = (session, actor, crm, source, request, one_each)
        threading.Thread(target=self._make, args=arguments, name="planning", daemon=True).start()
        return True

    def _make(
        self, session: int, actor: Actor, crm: str, source: Query | Sequence[str], request: TextRequest, one_each: bool
    ) -> None:
        try:
            notice = self._made(crm, source, request, one_each, actor)
            with self._pool.connection() as connection:
                console_sessions.notify(connection, session, notice)
        except psycopg.Error as error:
            log.error("the database does not answer", why=type(error).__name__)
        finally:
            self._busy.release()

    def _made(
        self, crm: str, source: Query | Sequence[str], request: TextRequest, one_each: bool, actor: Actor
    ) -> Notice:
        try:
            with self._pool.connection() as connection:
                fill = BackFill(connection, self._settings)
                return Notice(
                    f"Plan {fill.plan(crm, source, request, one_each, actor=actor)} is made. Nothing was sent."
                )
        except ConnectorError as error:
            log.warning("a plan could not be made", crm=crm, why=str(error))
            return Notice(f"No plan was made: {error}", problem=True)
