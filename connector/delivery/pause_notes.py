"""Have the tickets of waiting texts say that an operator has paused them: docs/decisions/0014-pauses.md

While everything is paused, jobs stay in the queue and no worker meets these texts. So they are looked for here, a batch
at a time. A trigger that no rule has accepted is decided first: a note before that could change what its rule looks at.
"""

from collections.abc import Mapping, Sequence

import psycopg
import structlog

from connector import transitions
from connector.crms import CRM_BATCH_SIZE, Crm
from connector.delivery import deciding
from connector.delivery.backpressure import Backpressure
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Decision, Skip
from connector.store import held_notes, outcomes, pauses, texts
from connector.store.pauses import Pause

log = structlog.get_logger()
# Seconds between looks for texts whose tickets do not show their pause.
LOOK_SECONDS = 5.0
# Maximum age in seconds of the CRM's report of its used calls.
USAGE_SECONDS = 300.0


class PauseNotes:
    """The maintenance task. One per worker process."""

    def __init__(
        self, crms: Mapping[str, tuple[Crm, TicketMapping]], backpressure: Backpressure, calls_share: float
    ) -> None:
        """`calls_share`: the used share of the CRM's calls of the day, 0 to 1, from which on no note is begun."""
        self._crms = {name: (crm, mapping) for name, (crm, mapping) in crms.items() if mapping.notifies_holds}
        self._backpressure, self._calls_share = backpressure, calls_share
        # Texts that are not sent by what their tickets say now. They wait without a note.
        self._without: set[int] = set()

    def note(self, connection: psycopg.Connection) -> None:
        """Begin the notes of up to CRM_BATCH_SIZE texts of each CRM. Raises like Crm.read and Crm.usage."""
        in_force = pauses.current(connection)
        if not in_force:
            self._without.clear()
            return
        for name, (crm, mapping) in self._crms.items():
            if self._may_call(connection, name, crm):
                self._note(connection, name, crm, mapping, in_force)

    def _may_call(self, connection: psycopg.Connection, name: str, crm: Crm) -> bool:
        if name in self._backpressure.outdated or name in pauses.everything(connection).by_account:
            return False
        return (crm.usage(USAGE_SECONDS) or 0) < self._calls_share

    def _note(
        self, connection: psycopg.Connection, name: str, crm: Crm, mapping: TicketMapping, in_force: Sequence[Pause]
    ) -> None:
        waiting = held_notes.paused(connection, name, in_force, self._without, CRM_BATCH_SIZE)
        held_notes.pause(connection, {one.text: one.hold for one in waiting if one.accepted})
        holds = {one.text: one.hold for one in waiting if not one.accepted}
        if not holds:
            return
        asked = list(texts.load(connection, list(holds)).values())
        decide = deciding.decider(crm, mapping, lambda ids: outcomes.own_writes(connection, ids))
        decided = dict(zip(asked, decide(asked), strict=True))
        moves = [
            transitions.paused(text.id, text.revision, holds[text.id], decision.accepted, decision.sms.end_user_number)
            for text, decision in decided.items()
            if isinstance(decision, Decision)
        ]
        texts.move(connection, moves)
        self._without |= {text.id for text, decision in decided.items() if isinstance(decision, Skip)}
        log.info("tickets show a pause", crm=name, texts=len(waiting))
