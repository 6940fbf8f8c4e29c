"""The text service, shared by the API and the agent page: preview, send, watch, cancel."""

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector import crms, send_at
from connector.crms import Crm
from connector.errors import ActionRefused, BadSettings, BadTime, CallFailed, KeyUsedOtherwise, NotThere, Unreadable
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import State, TextRequest
from connector.policy.findings import Finding, Said
from connector.preview import Preview, Previews
from connector.store import actions, agent_requests, leases, postgres, text_views
from connector.store.agent_requests import SendReceipt, SendRequest
from connector.store.audit import Actor
from connector.store.text_views import TextStatus
from webhooks.concurrency import MAX_CRM_CALLS, MAX_CRM_CALLS_EACH, MAX_WAITS, MAX_WAITS_EACH, ConcurrencyLimit
from webhooks.problems import Problem

log = structlog.get_logger()

# Seconds between two polls for an outcome: in the first second, and afterwards.
POLL_SECONDS, LATER_POLL_SECONDS = 0.02, 0.2
# The number of a ticket's texts that are shown, newest first.
MAX_SHOWN = 50
NO_WORKER = Finding(
    "worker", Said.WARN, "nothing is being sent now, because no worker of the connector is running; the text would wait"
)


class TextService:
    """One per web process. Thread-safe."""

    def __init__(
        self, pool: ConnectionPool, mappings: Mapping[str, TicketMapping], max_days: float = send_at.DEFAULT_DAYS
    ) -> None:
        """`max_days`: how far ahead a text may be scheduled."""
        self._pool, self._mappings, self._max_days = pool, mappings, max_days
        self._previews: Previews | None = None
        self._waits = ConcurrencyLimit(MAX_WAITS, MAX_WAITS_EACH)
        self._crm_calls = ConcurrencyLimit(MAX_CRM_CALLS, MAX_CRM_CALLS_EACH)
        self._connecting = threading.Lock()

    def ticket(self, crm: str, ticket_id: str) -> tuple[str, str]:
        """The CRM's name and the ticket's full id. Raises Problem 404."""
        crm_name = crm or (next(iter(self._mappings)) if len(self._mappings) == 1 else "")
        if crm_name not in self._mappings:
            raise Problem(404, f"there is no such CRM; expected one of: {', '.join(self._mappings)}")
        try:
            return crm_name, importlib.import_module(f"webhooks.crms.{crm_name}").ticket_id(ticket_id)
        except Unreadable as error:
            raise Problem(404, str(error)) from None

    def mapping(self, crm_name: str) -> TicketMapping:
        return self._mappings[crm_name]

    def preview(
        self, crm_name: str, ticket_id: str, request: TextRequest, caller: str, typing: bool = False
    ) -> Preview:
        """Preview a text. `typing`: accept a ticket read some seconds ago. Raises Problem 404, 422, 429 or 503."""
        self._require_known(crm_name, request)
        if request.send_at:
            self.require_time(send_at.parse(request.send_at))
        with self.calling(crm_name, caller):
            found = self._connected().preview(self._pool.connection, crm_name, ticket_id, request, typing)
        worker = self.database(leases.heard).lately
        return found if worker else replace(found, findings=[*found.findings, NO_WORKER])

    @contextlib.contextmanager
    def calling(self, crm_name: str, caller: str) -> Iterator[None]:
        """Call a CRM in the block. Raises Problem: 404 for NotThere, 429 for too many calls, 503 for CallFailed."""
        try:
            with self._crm_calls.place(caller) as free:
                if not free:
                    raise Problem(429, f"too many requests wait for {crm_name} at the moment", {"Retry-After": "2"})
                yield
        except NotThere as error:
            raise Problem(404, str(error)) from None
        except (CallFailed, BadSettings) as error:
            log.warning("the CRM cannot be asked", crm=crm_name, why=str(error))
            raise Problem(503, f"{crm_name} cannot be asked: {error}", {"Retry-After": "5"}) from None

    def crm(self, crm_name: str) -> Crm:
        """The connected CRM, to be called within `calling`. Raises BadSettings."""
        return self._connected().crm(crm_name)

    def send(self, asked: SendRequest) -> SendReceipt:
        """Save a request once. It is committed when this returns. Raises Problem 422."""
        self._require_known(asked.crm, asked.request)
        try:
            with self._pool.connection() as connection:
                taken = agent_requests.take_in(connection, asked, self._max_days)
        except KeyUsedOtherwise:
            raise Problem(422, "this Idempotency-Key was used for another request; use a new key") from None
        except BadTime as error:
            raise Problem(422, f"send_at: {error}") from None
        log.info("text asked for", text=taken.text, ticket=asked.ticket_id, by=asked.caller, duplicate=taken.duplicate)
        return taken

    def require_time(self, at: datetime) -> None:
        """Raise Problem 422 for a time at which a text cannot be scheduled."""
        try:
            send_at.check(at, self.database(postgres.now), self._max_days)
        except BadTime as error:
            raise Problem(422, f"send_at: {error}") from None

    def _require_known(self, crm_name: str, request: TextRequest) -> None:
        """Raise Problem 422 for a rule, template or language that the mapping lacks."""
        if found := self._mappings[crm_name].unknown(request):
            what, _, known = found
            raise Problem(422, f"{what}: there is no such {what}; expected one of: {', '.join(known) or 'none'}")

    def seen(self, text: int, wait: float = 0, caller: str = "") -> TextStatus:
        """A text, once it has its outcome or after `wait` seconds. Raises Problem 404.

        Does not wait when too many requests wait already, in total or for this caller.
        """
        if not wait:
            return self._seen(text, 0)
        with self._waits.place(caller) as free:
            return self._seen(text, wait if free else 0)

    def _seen(self, text: int, wait: float) -> TextStatus:
        end = time.monotonic() + wait
        early = time.monotonic() + 1
        while True:
            with self._pool.connection() as connection:
                found = text_views.seen(connection, text)
                worker = leases.heard(connection).lately
            if found is None:
                raise Problem(404, "there is no such text")
            left = end - time.monotonic()
            # A text that waits for its hours or its customer does not change for a while.
            if found.is_final or found.leaves_at or left <= 0:
                with self._pool.connection() as connection:
                    [found] = text_views.with_pauses(connection, [replace(found, worker=worker)])
                return found
            time.sleep(min(POLL_SECONDS if time.monotonic() < early else LATER_POLL_SECONDS, left))

    def seen_of_ticket(self, crm_name: str, ticket_id: str) -> Sequence[TextStatus]:
        """A ticket's texts, newest first."""
        with self._pool.connection() as connection:
            worker = leases.heard(connection).lately
            found = text_views.seen_of_ticket(connection, crm_name, ticket_id, MAX_SHOWN)
            return text_views.with_pauses(connection, [replace(text, worker=worker) for text in found])

    def cancel(self, text: int, by: str, actor: Actor) -> TextStatus:
        """Cancel a text that was not sent yet. `by`: the person's name for people. Raises Problem 404 or 409."""
        try:
            with self._pool.connection() as connection:
                actions.cancel(connection, text, actor, by)
        except ActionRefused:
            found = self.seen(text)
            if found.state is not State.CANCELLED:
                raise Problem(409, f"it is too late to cancel: the text is {found.state}") from None
            return found
        return self.seen(text)

    def database(self, do: Callable[[psycopg.Connection], Any]) -> Any:
        with self._pool.connection() as connection:
            return do(connection)

    def _connected(self) -> Previews:
        """Connect to the CRMs on first use. A web process that only receives events needs no connection."""
        with self._connecting:
            if self._previews is None:
                connected: dict[str, tuple[Crm, TicketMapping]] = {
                    crm_name: (crms.connect(crm_name, mapping.file), mapping)
                    for crm_name, mapping in self._mappings.items()
                }
                self._previews = Previews(connected)
            return self._previews
