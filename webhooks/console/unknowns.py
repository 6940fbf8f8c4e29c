"""Texts that may have been sent: their evidence, and a person's decision on each."""

from datetime import datetime

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from connector import bootstrap
from connector.errors import BadSettings, Unavailable
from connector.model import MAX_CHAT_ID
from connector.store import unknowns as store
from connector.store.unknowns import Evidence, Settled
from connector.worker import chat_search
from connector.worker.chat_search import Search
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs

ROWS = 50
# The verdicts of the form. A candidate's is this prefix and its chat.
NOT_SENT, OTHER_CHAT, CANDIDATE = "not_sent", "other", "chat:"


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""

    @pages.get("/unknowns")
    @needs(Role.VIEW)
    def unknowns() -> ResponseReturnValue:
        with console.read() as connection:
            rows = store.open_unknowns(connection, ROWS + 1, _place(request.args.get("after", "")))
            times, count = store.time_to_settle(connection), store.count(connection)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        after = f"{last.given_up_at.isoformat()},{last.id}" if last else None
        return console.page("console/unknowns.html", rows=rows[:ROWS], after=after, times=times, count=count)

    @pages.get("/unknowns/<int:text>")
    @needs(Role.VIEW)
    def unknown(text: int) -> ResponseReturnValue:
        with console.read() as connection:
            evidence = store.evidence(connection, text)
        return _page(console, evidence) if evidence else _settled_before(console, text)

    @pages.post("/unknowns/<int:text>/search")
    @needs(Role.ACT)
    def search_chats(text: int) -> ResponseReturnValue:
        found, problem = None, ""
        with console.read() as connection:
            evidence = store.evidence(connection, text)
        try:
            if evidence:
                found = chat_search.search(console.read, bootstrap.account(console.settings), evidence.text)
        except (Unavailable, BadSettings) as error:
            problem = f"{error}. Nothing was changed."
        return _page(console, evidence, found, problem) if evidence else _settled_before(console, text)

    @pages.post("/unknowns/<int:text>/settle")
    @needs(Role.ACT)
    def settle_unknown(text: int) -> ResponseReturnValue:
        try:
            chat = _chat(request.form.get("verdict", ""), request.form.get("chat", ""))
        except ValueError as problem:
            return console.refused(f"{problem} Nothing was changed.", url_for("console.unknown", text=text))
        with console.read() as connection:
            settled = store.settle(connection, viewer().actor, text, chat, request.form.get("why", ""))
            other = None if chat is None else store.text_of_chat(connection, chat)
        if settled is Settled.NOT_UNKNOWN:
            return _settled_before(console, text)
        if settled is Settled.CHAT_TAKEN:
            words = f"Chat {chat} is that of text {other}. Nothing was changed."
            return console.refused(words, url_for("console.unknown", text=text))
        found = f"sent, chat {chat}" if chat is not None else "not sent; its reason may be used again"
        return console.done(f"Text {text}: {found}. The ticket will be notified.", url_for("console.unknowns"))


def _place(given: str) -> tuple[datetime, int] | None:
    """Return the place in the list that an address names; None: its beginning."""
    at, _, text = given.partition(",")
    try:
        moment = datetime.fromisoformat(at)
        return (moment, int(text)) if moment.tzinfo else None
    except ValueError:
        return None


def _chat(verdict: str, typed: str) -> int | None:
    """Return the chat of a verdict; None: it was not sent. Raises ValueError with words for the person."""
    if verdict == NOT_SENT:
        return None
    if verdict != OTHER_CHAT and not verdict.startswith(CANDIDATE):
        raise ValueError("Say whether it was sent.")
    number = typed.strip() if verdict == OTHER_CHAT else verdict.removeprefix(CANDIDATE)
    if not (number.isascii() and number.isdecimal() and len(number) < 20 and 1 <= int(number) <= MAX_CHAT_ID):
        raise ValueError("Give the number of the chat in CCAI Platform, such as 114.")
    return int(number)


def _page(console: Console, evidence: Evidence, search: Search | None = None, problem: str = "") -> ResponseReturnValue:
    found = [str(candidate.chat.id) for candidate in search.candidates] if search else []
    candidates = list(dict.fromkeys([*found, *(chat.chat for chat in evidence.unclaimed)]))
    return console.page(
        "console/unknown.html",
        evidence=evidence,
        text=evidence.text,
        search=search,
        candidates=[chat for chat in candidates if chat.isdecimal()],
        problem=problem,
        searchable=console.settings.unknown_from_chats or console.settings.chat_poll_seconds > 0,
        hours=store.NEAR_HOURS,
        verdicts={"not_sent": NOT_SENT, "other": OTHER_CHAT, "candidate": CANDIDATE},
    )


def _settled_before(console: Console, text: int) -> ResponseReturnValue:
    words = f"Text {text} is not unknown, or not any more. Nothing was changed."
    return console.refused(words, url_for("console.unknowns"))
