"""The agent page's answers: the form with a preview, and the transition from a form to a text."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import get_template_attribute, redirect, render_template, url_for

from connector import send_at
from connector.errors import BadTime
from connector.policy import segments
from connector.store.agent_requests import SendRequest
from connector.store.text_views import TextStatus
from webhooks.agent_page import advice, forms, progress
from webhooks.agent_page.forms import Draft, Problems
from webhooks.agent_page.sessions import AgentSession
from webhooks.agent_page.ticket_texts import TicketTexts, requested
from webhooks.api import schemas, serializers
from webhooks.problems import Problem
from webhooks.text_service import TextService

MEANWHILE = "A text about this case was asked for meanwhile: it is below. Look again before you send another."
ASKED = "This text was asked for already: it is below, and Send shows what became of it. Nothing is sent twice."
OTHER_LANGUAGE = "The language is another one now, and nothing was sent. Look at the words, then send them."


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer of the page. `number`: the ticket's number for people, when the CRM was called."""

    body: str | Any
    status: int
    number: str = ""


class Presenter:
    """The page's answers."""

    def __init__(self, text_service: TextService, texts: TicketTexts) -> None:
        self._text_service, self._texts = text_service, texts

    def preview(self, session: AgentSession, draft: Draft, typing: bool = False) -> schemas.Preview:
        """Preview a draft, at its time if that is valid. `typing`: the script previews repeatedly. Raises Problem."""
        request, crm_name = draft.request(session, self._time(session, draft)[0]), session.crm
        found = self._text_service.preview(crm_name, session.ticket_id, request, session.caller, typing)
        return serializers.preview(crm_name, found)

    def zone(self, session: AgentSession) -> str:
        """The time zone of the form's times."""
        return self._text_service.mapping(session.crm).file.policy.hours.zone

    def _time(self, session: AgentSession, draft: Draft) -> tuple[datetime | None, str]:
        """The time that a draft is scheduled for, if any, and what is wrong with it."""
        if not draft.send_on and not draft.send_time:
            return None, ""
        try:
            at = send_at.local(draft.send_on, draft.send_time, self.zone(session))
            self._text_service.require_time(at)
        except BadTime as error:
            return None, forms.sentence(str(error))
        except Problem as problem:
            return None, forms.sentence(problem.detail.removeprefix("send_at: "))
        return at, ""

    def form(self, session: AgentSession, draft: Draft, found: Problems = Problems(), notice: str = "") -> Shown:  # noqa: B008
        """The page with this draft. `found`: the problems to show after an attempt to send. Raises Problem."""
        typed = draft
        try:
            draft, seen = (
                self._begun(session, draft) if draft.message is None else (draft, self.preview(session, draft))
            )
        except Problem as problem:
            return self._away(session, draft, problem)
        status = 422 if found else 409 if notice else 200
        # The next click is based on what the agent sees now.
        after = self.after(session, draft, seen)
        if against := advice.final(seen):
            file = self._text_service.mapping(session.crm).file
            return self._shown(
                "stopped",
                status,
                session,
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
            session,
            draft=replace(draft, after=after),
            seen=seen,
            found=found,
            notice=notice or (ASKED if after < seen.after else ""),
            overridable=forms.overridable(seen),
            wants_reason=forms.wants_reason(seen, draft),
            max_characters=forms.MAX_CHARACTERS,
            max_reason=forms.MAX_REASON,
            around=forms.around(seen, draft),
            plain=self._plain(session),
            zone=self.zone(session),
        )

    def fresh(self, session: AgentSession, after: int | None) -> Shown:
        """The page with a new draft, for the text after this one. None: after all existing texts.

        When that text was already requested and the agent navigated back, the draft has its words and stands for that
        text. Raises Problem.
        """
        asked = None if after is None else requested(self._texts.newer(session, after))
        words = asked.request.message if asked and asked.request else None
        return self.form(session, Draft(message=words, after=self._texts.newest(session) if after is None else after))

    def after(self, session: AgentSession, draft: Draft, seen: schemas.Preview) -> int:
        """The text after which a click sends: the newest shown, or the draft's own when its text exists already."""
        return draft.after if requested(self._texts.newer(session, draft.after)) else seen.after

    def started_from(self, session: AgentSession, draft: Draft) -> Shown:
        """The page with a template's words instead of the draft's. Raises Problem."""
        try:
            templates = self.preview(session, draft).templates
        except Problem as problem:
            return self._away(session, draft, problem)
        words = next((one.message for one in templates if one.name == draft.template and one.message), draft.message)
        return self.form(session, replace(draft, message=words))

    def in_language(self, session: AgentSession, draft: Draft, before: str, notice: str = "") -> Shown:
        """The page in another language. Words of a template change with it; the agent's own words stay.

        `before`: the language that was chosen until now. Raises Problem.
        """
        try:
            earlier = self.preview(session, replace(draft, language=before)).templates
            templates = self.preview(session, draft, typing=True).templates
        except Problem as problem:
            return self._away(session, draft, problem)
        name = next((one.name for one in earlier if one.message and one.message == draft.message), None)
        words = next((one.message for one in templates if one.name == name and one.message), draft.message)
        return self.form(session, replace(draft, message=words), notice=notice)

    def send(self, session: AgentSession, draft: Draft) -> Shown:
        """Save a request once and redirect to its progress, or show the problems. Raises Problem."""
        newer = self._texts.newer(session, draft.after)
        if asked := requested(newer):
            return self._asked_already(session, draft, asked)
        if newer:
            return self.form(session, draft, notice=MEANWHILE)
        at, wrong = self._time(session, draft)
        found = replace(forms.too_long(draft), send_at=wrong)
        if not found:
            try:
                found = forms.problems(self.preview(session, draft), draft)
            except Problem as problem:
                return self._away(session, draft, problem)
        if found:
            return self.form(session, draft, found)
        request = draft.request(session, at)
        key = secrets.token_urlsafe(16)  # the event's id does not depend on this key, so a repetition is the same event
        taken = self._text_service.send(
            SendRequest(session.crm, session.ticket_id, request, session.caller, key, draft.after)
        )
        if taken.duplicate:
            return self._asked_already(session, draft, self._texts.get(session, taken.text))
        return _to(session, taken.text, again=False)

    def _asked_already(self, session: AgentSession, draft: Draft, text: TextStatus) -> Shown:
        """The progress of the text already requested, with the unsent draft when its words differ."""
        if draft.message in ("", None, text.request and text.request.message):
            return _to(session, text.id, again=True)
        unsent = replace(draft, override="", overrides=(), after=self._texts.newest(session))
        return self._watched(409, session, text, again=True, unsent=unsent)

    def watch(self, session: AgentSession, text: int, again: bool) -> Shown:
        """The page with a text's progress. Raises Problem."""
        return self._watched(200, session, self._texts.get(session, text), again)

    def _watched(
        self, status: int, session: AgentSession, text: TextStatus, again: bool, unsent: Draft | None = None
    ) -> Shown:
        return self._shown(
            "watch",
            status,
            session,
            text=serializers.text(text),
            steps=progress.steps(text),
            done=progress.done(text),
            again=again,
            unsent=unsent,
        )

    def texts(self, session: AgentSession, form_token: str) -> str:
        """The ticket's texts as a part of the page."""
        return part("texts", session, [serializers.text(row) for row in self._texts.all(session)], form_token)

    def _begun(self, session: AgentSession, new: Draft) -> tuple[Draft, schemas.Preview]:
        """A new draft: the first template that suits the ticket. Without one, an empty message."""
        draft = replace(new, template=next(iter(self._text_service.mapping(session.crm).templates()), ""))
        seen = self.preview(session, draft)
        first = next((one for one in seen.templates if one.message), None)
        if first is None:
            empty = replace(new, message="")
            return empty, self.preview(session, empty)
        begun = replace(new, message=first.message, template=first.name)
        return begun, seen if first.name == draft.template else self.preview(session, begun)

    def _plain(self, session: AgentSession) -> dict[str, str]:
        """The typographic characters that are replaced before sending, for the page's script."""
        replaced = self._text_service.mapping(session.crm).file.policy.replace_typographic
        return {chr(one): plain for one, plain in segments.PLAIN.items()} if replaced else {}

    def _away(self, session: AgentSession, draft: Draft, problem: Problem) -> Shown:
        """The page while the CRM does not answer: keeps the draft, and shows the texts from the database."""
        if problem.status != 503:
            raise problem
        return self._shown("away", 503, session, draft=draft, why=problem.detail)

    def _shown(self, template: str, status: int, session: AgentSession, **more: Any) -> Shown:
        texts = [serializers.text(row) for row in self._texts.all(session)]
        kind = self._text_service.mapping(session.crm).file.ticket.object
        number = more["seen"].number if "seen" in more else session.number
        body = render_template(
            f"agents/{template}.html", session=session, kind=kind, number=number, texts=texts, **more
        )
        return Shown(body, status, number)


def _to(session: AgentSession, text: int, again: bool) -> Shown:
    """Redirect to a text's progress, so that going back or reloading sends nothing. `again`: requested before."""
    return Shown(redirect(url_for("agents.watch", page=session.id, text=text, again=1 if again else None)), 303)


def part(name: str, *args: Any) -> str:
    """A part of the page, for its script."""
    shown: str = get_template_attribute("agents/parts.html", name)(*args)
    return shown
