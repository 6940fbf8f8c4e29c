"""The agent page's answers: the form with a preview, and the transition from a form to a text."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import get_template_attribute, redirect, render_template, url_for

from connector import send_at
from connector.errors import BadTime
from connector.model import OUTCOMES, Channel
from connector.policy import segments
from connector.store.agent_requests import SendRequest
from connector.store.text_views import WriteBackState, write_back_state
from webhooks.agent_page import advice, forms
from webhooks.agent_page.forms import Draft, Problems
from webhooks.agent_page.sessions import AgentSession
from webhooks.api import schemas, serializers
from webhooks.problems import Problem
from webhooks.text_service import TextService

MEANWHILE = "A text about this case was asked for meanwhile: it is below. Look again before you send another."
ASKED = "This text was asked for already: it is below, and Send shows what became of it. Nothing is sent twice."
OTHER_LANGUAGE = "The language is another one now, and nothing was sent. Look at the words, then send them."
# The state of a step in a text's progress.
DONE, NOW, FAILED, TO_COME = "done", "now", "failed", "to come"


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer of the page. `number`: the ticket's number for people, when the CRM was called."""

    body: str | Any
    status: int
    number: str = ""


class Writing:
    """The page's answers."""

    def __init__(self, desk: TextService) -> None:
        self._desk = desk

    def look(self, visit: AgentSession, draft: Draft, typing: bool = False) -> schemas.Preview:
        """Preview a draft, at its time if that is valid. `typing`: the script previews repeatedly. Raises Problem."""
        ask = draft.ask(visit, self._time(visit, draft)[0])
        return serializers.preview(visit.crm, self._desk.preview(visit.crm, visit.ticket_id, ask, visit.caller, typing))

    def zone(self, visit: AgentSession) -> str:
        """The time zone of the form's times."""
        return self._desk.mapping(visit.crm).file.policy.hours.zone

    def _time(self, visit: AgentSession, draft: Draft) -> tuple[datetime | None, str]:
        """The time that a draft is scheduled for, if any, and what is wrong with it."""
        if not draft.send_on and not draft.send_time:
            return None, ""
        try:
            at = send_at.local(draft.send_on, draft.send_time, self.zone(visit))
            self._desk.require_time(at)
        except BadTime as error:
            return None, forms.sentence(str(error))
        except Problem as problem:
            return None, forms.sentence(problem.detail.removeprefix("send_at: "))
        return at, ""

    def form(self, visit: AgentSession, draft: Draft, found: Problems = Problems(), notice: str = "") -> Shown:  # noqa: B008
        """The page with this draft. `found`: the problems to show after an attempt to send. Raises Problem."""
        typed = draft
        try:
            draft, seen = self._begun(visit, draft) if draft.message is None else (draft, self.look(visit, draft))
        except Problem as problem:
            return self._away(visit, draft, problem)
        status = 422 if found else 409 if notice else 200
        # The next click is based on what the agent sees now.
        after = self.after(visit, draft, seen)
        if against := advice.final(seen):
            file = self._desk.mapping(visit.crm).file
            return self._shown(
                "stopped",
                status,
                visit,
                draft=replace(typed, after=after),
                seen=seen,
                against=[(one.why, advice.advice(one, file)) for one in against],
                notice=notice,
                asked=bool(found),
            )
        if forms.outdated(seen, draft):
            found = replace(found, override=forms.problems(seen, draft).override)
            draft = replace(draft, override="")
        return self._shown(
            "write",
            status,
            visit,
            draft=replace(draft, after=after),
            seen=seen,
            found=found,
            notice=notice or (ASKED if after < seen.after else ""),
            overridable=forms.overridable(seen),
            wants_reason=forms.wants_reason(seen, draft),
            most_characters=forms.MAX_CHARACTERS,
            longest_reason=forms.MAX_REASON,
            around=forms.around(seen, draft),
            plain=self._plain(visit),
            zone=self.zone(visit),
        )

    def fresh(self, visit: AgentSession, after: int | None) -> Shown:
        """The page with a new draft, for the text after this one. None: after all existing texts.

        When that text was already requested and the agent navigated back, the draft has its words and stands for that
        text. Raises Problem.
        """
        asked = None if after is None else _asked(self._newer(visit, after))
        words = (asked["ask"] or {}).get("message") if asked else None
        return self.form(visit, Draft(message=words, after=self._newest(visit) if after is None else after))

    def after(self, visit: AgentSession, draft: Draft, seen: schemas.Preview) -> int:
        """The text after which a click sends: the newest shown, or the draft's own when its text exists already."""
        return draft.after if _asked(self._newer(visit, draft.after)) else seen.after

    def started_from(self, visit: AgentSession, draft: Draft) -> Shown:
        """The page with a template's words instead of the draft's. Raises Problem."""
        try:
            templates = self.look(visit, draft).templates
        except Problem as problem:
            return self._away(visit, draft, problem)
        words = next((one.message for one in templates if one.name == draft.template and one.message), draft.message)
        return self.form(visit, replace(draft, message=words))

    def in_language(self, visit: AgentSession, draft: Draft, before: str, notice: str = "") -> Shown:
        """The page in another language. Words of a template change with it; the agent's own words stay.

        `before`: the language that was chosen until now. Raises Problem.
        """
        try:
            earlier = self.look(visit, replace(draft, language=before)).templates
            templates = self.look(visit, draft, typing=True).templates
        except Problem as problem:
            return self._away(visit, draft, problem)
        name = next((one.name for one in earlier if one.message and one.message == draft.message), None)
        words = next((one.message for one in templates if one.name == name and one.message), draft.message)
        return self.form(visit, replace(draft, message=words), notice=notice)

    def send(self, visit: AgentSession, draft: Draft) -> Shown:
        """Save a request once and redirect to its progress, or show the problems. Raises Problem."""
        newer = self._newer(visit, draft.after)
        if asked := _asked(newer):
            return self._asked_already(visit, draft, asked)
        if newer:
            return self.form(visit, draft, notice=MEANWHILE)
        at, wrong = self._time(visit, draft)
        found = replace(forms.too_long(draft), send_at=wrong)
        if not found:
            try:
                found = forms.problems(self.look(visit, draft), draft)
            except Problem as problem:
                return self._away(visit, draft, problem)
        if found:
            return self.form(visit, draft, found)
        ask = draft.ask(visit, at)
        key = secrets.token_urlsafe(16)  # the event's id does not depend on this key, so a repetition is the same event
        taken = self._desk.send(SendRequest(visit.crm, visit.ticket_id, ask, visit.caller, key, draft.after))
        if taken.duplicate:
            return self._asked_already(visit, draft, self.row(visit, taken.text))
        return _to(visit, taken.text, again=False)

    def _asked_already(self, visit: AgentSession, draft: Draft, row: Mapping[str, Any]) -> Shown:
        """The progress of the text already requested, with the unsent draft when its words differ."""
        if draft.message in ("", None, (row["ask"] or {}).get("message")):
            return _to(visit, row["id"], again=True)
        unsent = replace(draft, override="", overrides=(), after=self._newest(visit))
        return self._watched(409, visit, row, again=True, unsent=unsent)

    def _newer(self, visit: AgentSession, after: int) -> list[dict[str, Any]]:
        return [row for row in self.rows(visit) if row["id"] > after]

    def _newest(self, visit: AgentSession) -> int:
        return max((row["id"] for row in self.rows(visit)), default=0)

    def watch(self, visit: AgentSession, text: int, again: bool) -> Shown:
        """The page with a text's progress. Raises Problem."""
        return self._watched(200, visit, self.row(visit, text), again)

    def _watched(
        self, status: int, visit: AgentSession, row: Mapping[str, Any], again: bool, unsent: Draft | None = None
    ) -> Shown:
        return self._shown(
            "watch",
            status,
            visit,
            text=serializers.text(row),
            steps=steps(row),
            done=done(row),
            again=again,
            unsent=unsent,
        )

    def rows(self, visit: AgentSession) -> list[dict[str, Any]]:
        """The ticket's texts, newest first."""
        return list(self._desk.seen_of_ticket(visit.crm, visit.ticket_id))

    def row(self, visit: AgentSession, text: int, wait: float = 0) -> dict[str, Any]:
        """One of the ticket's texts. Raises Problem 404 for any other text."""
        row = self._desk.seen(text, 0)
        if (row["crm"], row["ticket_id"]) != (visit.crm, visit.ticket_id):
            raise Problem(404, "there is no such text")
        return self._desk.seen(text, wait, visit.caller) if wait else row

    def cancel(self, visit: AgentSession, text: int) -> None:
        """Cancel a text that was not sent yet. Raises Problem 404."""
        self.row(visit, text)
        try:
            self._desk.cancel(text, visit.agent)
        except Problem as problem:
            if problem.status != 409:  # too late: the page shows the outcome
                raise

    def texts(self, visit: AgentSession, form_token: str) -> str:
        """The ticket's texts as a part of the page."""
        return part("texts", visit, [serializers.text(row) for row in self.rows(visit)], form_token)

    def _begun(self, visit: AgentSession, new: Draft) -> tuple[Draft, schemas.Preview]:
        """A new draft: the first template that suits the ticket. Without one, an empty message."""
        draft = replace(new, template=next(iter(self._desk.mapping(visit.crm).templates()), ""))
        seen = self.look(visit, draft)
        first = next((one for one in seen.templates if one.message), None)
        if first is None:
            empty = replace(new, message="")
            return empty, self.look(visit, empty)
        begun = replace(new, message=first.message, template=first.name)
        return begun, seen if first.name == draft.template else self.look(visit, begun)

    def _plain(self, visit: AgentSession) -> dict[str, str]:
        """The typographic characters that are replaced before sending, for the page's script."""
        replaced = self._desk.mapping(visit.crm).file.policy.replace_typographic
        return {chr(one): plain for one, plain in segments.PLAIN.items()} if replaced else {}

    def _away(self, visit: AgentSession, draft: Draft, problem: Problem) -> Shown:
        """The page while the CRM does not answer: keeps the draft, and shows the texts from the database."""
        if problem.status != 503:
            raise problem
        return self._shown("away", 503, visit, draft=draft, why=problem.detail)

    def _shown(self, template: str, status: int, visit: AgentSession, **more: Any) -> Shown:
        texts = [serializers.text(row) for row in self.rows(visit)]
        kind = self._desk.mapping(visit.crm).file.ticket.object
        number = more["seen"].number if "seen" in more else visit.number
        body = render_template(f"agents/{template}.html", visit=visit, kind=kind, number=number, texts=texts, **more)
        return Shown(body, status, number)


def _asked(newer: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first text that an agent requested after the form was loaded. Submitting the form again means this text."""
    return next((row for row in reversed(newer) if row["channel"] == Channel.AGENT), None)


def _to(visit: AgentSession, text: int, again: bool) -> Shown:
    """Redirect to a text's progress, so that going back or reloading sends nothing. `again`: requested before."""
    return Shown(redirect(url_for("agents.watch", page=visit.id, text=text, again=1 if again else None)), 303)


def part(name: str, *args: Any) -> str:
    """A part of the page, for its script."""
    shown: str = get_template_attribute("agents/parts.html", name)(*args)
    return shown


def done(row: Mapping[str, Any]) -> bool:
    """Whether nothing more happens by itself: there is an outcome, and its write-back is finished or given up."""
    return row["state"] in OUTCOMES and write_back_state(row) is not WriteBackState.PENDING


def waits(row: Mapping[str, Any]) -> bool:
    """Whether no change is expected for a while."""
    return bool(row["leaves_at"] or row["told_after"])


def steps(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A text's progress: a label and a state for each step."""
    final = row["state"] in OUTCOMES
    outcome = {"sent": "Sent", "unknown": "Not known"}.get(row["state"], "Not sent") if final else "Being sent"
    sent = DONE if row["state"] == "sent" else FAILED if final else NOW
    if row["leaves_at"]:
        outcome, sent = "Waiting for its time", TO_COME
    elif not final and not row["worker"]:
        outcome, sent = "Waiting: nothing is being sent now", TO_COME
    if not final:
        told = ("Write back to the ticket", TO_COME)
    elif row["told_after"]:
        told = (f"The ticket is told after text {row['told_after']}, which is not settled yet", TO_COME)
    elif not done(row):
        told = ("Writing back to the ticket", NOW)
    elif row["write_refused"]:
        told = ("The ticket could not be updated", FAILED)
    else:
        told = ("The ticket has the result", DONE)
    return [("Saved", DONE), (outcome, sent), told]
