"""Plans that the console makes, in a thread of the web process: reading thousands of cases takes minutes."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
import structlog
from flask.typing import ResponseReturnValue
from psycopg_pool import ConnectionPool, PoolClosed

from connector.backfill.library import BackFill
from connector.crms import Query
from connector.errors import ActionRefused, ConnectorError
from connector.model import TextRequest
from connector.settings import Settings
from connector.store import console_sessions, postgres
from connector.store.audit import Actor
from connector.store.console_sessions import HOURS, Notice

log = structlog.get_logger()

# Seconds between attempts to leave a notice while the database is away.
NOTIFY_AGAIN_SECONDS = 2.0
AWAY = "The database was away while the plan was being made: look for it in the list, or make it again."
UNUSABLE = "No plan was made: something in the form, or in a case, has a sign that cannot be stored."
OWN_ERROR = "No plan was made: this met an error of the connector's own. Its log says where."


@dataclass(frozen=True, slots=True)
class PlanWanted:
    """A plan that a person asks for. `session`: the one whose pages say what became of it."""

    session: int
    actor: Actor
    crm: str
    source: Query | Sequence[str]
    request: TextRequest
    one_each: bool


class Planning:
    """One plan at a time for each web process. Thread-safe."""

    def __init__(self, pool: ConnectionPool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._busy = threading.Lock()

    def begin(self, wanted: PlanWanted, announce: Callable[[], ResponseReturnValue]) -> ResponseReturnValue | None:
        """Begin to make a plan. A later page of the session says what became of it. None: another is being made.

        `announce` says that it is being made, before anything is said about its end. Its answer is returned.
        """
        if not self._busy.acquire(blocking=False):
            return None
        try:
            answer = announce()
            threading.Thread(target=self._make, args=(wanted,), name="planning", daemon=True).start()
        except BaseException:
            self._busy.release()
            raise
        return answer

    def _make(self, wanted: PlanWanted) -> None:
        try:
            notice = self._made(wanted)
        finally:
            self._busy.release()
        self._notify(wanted.session, notice)

    def _made(self, wanted: PlanWanted) -> Notice:
        """Make the plan and say what became of it, whatever that is."""
        try:
            plan = self._plan(wanted)
        except ActionRefused as error:  # somebody has cancelled it
            return Notice(str(error), problem=True)
        except ConnectorError as error:
            log.warning("a plan could not be made", crm=wanted.crm, why=str(error))
            return Notice(f"No plan was made: {error}", problem=True)
        except psycopg.DataError:
            return Notice(UNUSABLE, problem=True)
        except psycopg.Error as error:
            log.error("the database does not answer", why=type(error).__name__)
            return Notice(AWAY, problem=True)
        except Exception as error:
            logging.getLogger(__name__).error("a plan could not be made: %s", wanted.crm, exc_info=error)
            return Notice(OWN_ERROR, problem=True)
        return Notice(f"Plan {plan} is made. Nothing was sent.")

    def _plan(self, wanted: PlanWanted) -> str:
        """Make the plan over a connection of its own: the pool's are for requests, and the CRM is read meanwhile."""
        with postgres.single(str(self._pool.conninfo)) as connection:
            fill = BackFill(connection, self._settings)
            return fill.plan(wanted.crm, wanted.source, wanted.request, wanted.one_each, actor=wanted.actor)

    def _notify(self, session: int, notice: Notice) -> None:
        """Leave the notice. While the database is away, try again for as long as a session can last."""
        end = time.monotonic() + HOURS * 3600
        while time.monotonic() < end:
            try:
                with self._pool.connection() as connection:
                    console_sessions.notify(connection, session, notice)
            except PoolClosed:  # this process ends
                return
            except psycopg.Error as error:
                log.error("the database does not answer", why=type(error).__name__)
                time.sleep(NOTIFY_AGAIN_SECONDS)
            else:
                return
