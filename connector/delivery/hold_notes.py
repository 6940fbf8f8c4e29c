"""Write to tickets what their texts wait for, as `[write_back.held]` says. See store/held_notes.py for the order."""

from collections.abc import Mapping, Sequence

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from connector.crms import Crm
from connector.delivery import isolation
from connector.errors import CallFailed, Refused, Unavailable
from connector.expressions import CannotApply
from connector.mapping.rules import Mapping as TicketMapping
from connector.outcome import HeldNote
from connector.store import held_notes, outcomes

log = structlog.get_logger()
# Seconds until a note is tried again that could not be written now. An outcome may come first: then none is written.
NOTE_PAUSE_SECONDS = 30.0

Fields = Mapping[str, str | None]


class HoldNotes:
    """Write notes of holds. One per worker process; called in a thread."""

    def __init__(self, pool: ConnectionPool, crms: Mapping[str, tuple[Crm, TicketMapping]]) -> None:
        self._pool, self._crms = pool, crms

    def write(self, texts: Sequence[int]) -> dict[int, tuple[str, Refused | Unavailable]]:
        """Write the notes of these texts, or queue another try. The CRM and its error for texts that have to wait."""
        with self._pool.connection() as connection:
            notes = held_notes.pending(connection, texts)
            changes = self._rendered(connection, notes)
            if not changes:
                return {}
            begun = held_notes.begin(
                connection, {note: self._crms[note.crm][1].asked_about(fields) for note, fields in changes.items()}
            )
            if later := [note.text for note in changes if note.text not in begun]:
                outcomes.look_again(connection, later, NOTE_PAUSE_SECONDS)
        waiting: dict[int, tuple[str, Refused | Unavailable]] = {}
        ready = [note for note in changes if note.text in begun]
        for crm in {note.crm for note in ready}:
            part = [note for note in ready if note.crm == crm]
            try:
                answers = isolation.write(self._crms[crm][0], [(note.ticket_id, changes[note]) for note in part])
            except (Refused, Unavailable) as error:
                waiting |= {note.text: (crm, error) for note in part}
            else:
                self._end(dict(zip(part, answers, strict=True)))
        return waiting

    def _rendered(self, connection: psycopg.Connection, notes: Sequence[HeldNote]) -> dict[HeldNote, Fields]:
        """The fields to write. A note that the mapping cannot render, or has no words for, is left out for good."""
        changes: dict[HeldNote, Fields] = {}
        for note in notes:
            try:
                changes[note] = self._crms[note.crm][1].note(note)
            except CannotApply as error:
                log.error("the mapping's write_back.held cannot be rendered", text=note.text, why=str(error))
        if never := [note for note in notes if not changes.get(note)]:
            held_notes.end(connection, never)
        return {note: fields for note, fields in changes.items() if fields}

    def _end(self, answers: Mapping[HeldNote, CallFailed | None]) -> None:
        """Record the ends. A note that is refused is given up; one without a clear result is tried again."""
        unclear = [note for note, error in answers.items() if isinstance(error, Unavailable)]
        for note, error in answers.items():
            if isinstance(error, Refused):
                log.warning("the CRM refuses a note of a wait", text=note.text, ticket=note.ticket_id, why=str(error))
        with self._pool.connection() as connection:
            held_notes.end(connection, [note for note in answers if note not in unclear])
            outcomes.look_again(connection, [note.text for note in unclear], NOTE_PAUSE_SECONDS)
