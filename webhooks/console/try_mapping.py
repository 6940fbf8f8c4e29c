"""Try a mapping: a draft of a mapping file, on the newest events and on tickets. Changes and sends nothing."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector import crms
from connector.dry_run import both_mappings
from connector.dry_run import try_mapping as dry_run
from connector.dry_run.both_mappings import MAX_DRAFT_BYTES, BothMappings
from connector.dry_run.trial import WORDS, Kind, Trial
from connector.dry_run.try_mapping import EVENTS
from connector.errors import BadMapping, Fault
from webhooks.concurrency import ConcurrencyLimit
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs
from webhooks.problems import Problem

# Texts that one request tries: as many tickets as one call reads.
MAX_TEXTS = crms.CRM_BATCH_SIZE
NAME = "the draft"


@dataclass(frozen=True, slots=True)
class Form:
    """What the person has typed. `content`: the draft, as pasted or uploaded."""

    crm: str
    content: bytes = b""
    events: str = str(EVENTS)
    tickets: str = ""

    @property
    def draft(self) -> str:
        """Return the draft for the form, which shows it again. One in another encoding is not shown."""
        with contextlib.suppress(UnicodeDecodeError):
            return self.content.decode("utf-8-sig")
        return ""


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""
    trying = ConcurrencyLimit(1, 1)  # a draft may take seconds of the processor

    def page(form: Form, status: int = 200, **values: object) -> ResponseReturnValue:
        limits = {"max_kb": MAX_DRAFT_BYTES // 1024, "max_texts": MAX_TEXTS}
        shown = {"form": form, "crms": list(console.mappings), "same_words": WORDS[Kind.SAME], **limits}
        return console.page("console/try_mapping.html", status=status, **shown, **values)

    @pages.get("/try-mapping")
    @needs(Role.ACT)
    def try_mapping() -> ResponseReturnValue:
        return page(Form(next(iter(console.mappings))))

    @pages.post("/try-mapping")
    @needs(Role.ACT)
    def run_draft() -> ResponseReturnValue:
        form = _form()
        try:
            events, tickets = _wanted(console, form)
            with trying.place("") as free:
                if not free:
                    return page(form, 429, problem="Another draft is being tried. Try again when that is done.")
                both = both_mappings.with_draft(console.mappings, form.crm, form.content, NAME)
                return page(form, trial=_try(console, form.crm, both, events, tickets), warnings=both.warnings)
        except BadMapping as error:
            return page(form, 422, faults=error.faults)
        except Problem as problem:
            return page(form, problem.status, problem=problem.detail)


def _form() -> Form:
    file, fields = request.files.get("file"), request.form
    uploaded = file.read() if file and file.filename else b""
    content = uploaded or fields.get("draft", "").encode()
    return Form(fields.get("crm", ""), content, fields.get("events", ""), fields.get("tickets", ""))


def _wanted(console: Console, form: Form) -> tuple[int, Sequence[str]]:
    """Return the number of events and the full ids of tickets. Raises Problem 422, and BadMapping without a draft."""
    if form.crm not in console.mappings:
        raise Problem(422, f"CRM: expected one of {', '.join(console.mappings)}.")
    if not form.content.strip():
        raise BadMapping(NAME, [Fault("the file", "expected a mapping file, pasted or uploaded")])
    given = form.events.strip().lstrip("0") or "0"
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) <= MAX_TEXTS):
        raise Problem(422, f"Newest events: expected a number from 0 to {MAX_TEXTS}.")
    tickets = [console.texts.ticket(form.crm, one)[1] for one in form.tickets.replace(",", " ").split()]
    if not 0 < int(given) + len(tickets) <= MAX_TEXTS:
        raise Problem(422, f"Expected from 1 to {MAX_TEXTS} events and tickets together.")
    return int(given), tickets


def _try(console: Console, crm: str, both: BothMappings, events: int, tickets: Sequence[str]) -> Trial:
    """Raises Problem 429 or 503."""
    with (
        console.texts.calling(crm, viewer().who),
        contextlib.closing(crms.connect(crm, both.to_read)) as connected,
    ):
        return dry_run.try_mapping(console.read, crm, connected, both, events, tickets)
