"""The sandbox's page: tickets on one side, the customer's phone on the other. It needs no JavaScript."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, get_template_attribute, redirect, render_template, request, url_for

from connector.sandbox import crms, journal
from connector.sandbox.ccaip import conversation, phones

routes = Blueprint("page", __name__)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send this page's forms with Origin: null
    "Cache-Control": "no-store",
}
PARTS = ("tickets", "details", "phone", "chat")
# Replies at one press. The platform obeys the first two of English; all others are free wording to it.
QUICK_REPLIES = {
    "en": ("English", ("STOP", "START", "Please don't text me any more", "Thank you!")),
    "es": ("Español", ("ALTO", "Por favor, no me envíen más mensajes")),
    "fr": ("Français", ("ARRÊT", "Merci de ne plus m'envoyer de SMS")),
    "pt": ("Português", ("PARAR", "Por favor, não me mandem mais mensagens")),
}


@routes.after_request
def protect(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@routes.get("/")
def show() -> str:
    """The page with the ticket that `ticket` names, or the first one."""
    return render_template("page.html", view=_view())


@routes.get("/parts")
def parts() -> dict[str, str]:
    """The parts of the page that update themselves, as HTML."""
    view = _view()
    shown = PARTS if view["ticket"] else PARTS[:1]
    return {name: get_template_attribute("parts.html", name)(view) for name in shown}


@routes.post("/tickets/<crm>/<ticket_id>")
def edit(crm: str, ticket_id: str) -> Any:
    """Save the fields of a ticket."""
    side = _crm(crm)
    known = {field["name"] for field in _ticket(side, ticket_id)["editable"]}
    changes = {name: value for name, value in request.form.items() if name in known}
    return _done(crm, ticket_id, lambda: side.edit(ticket_id, changes))


@routes.post("/tickets/<crm>/<ticket_id>/text")
def request_text(crm: str, ticket_id: str) -> Any:
    """Set the case to Requested, as the human agent."""
    return _done(crm, ticket_id, lambda: _crm(crm).request_text(ticket_id))


@routes.get("/tickets/<crm>/<ticket_id>/agents-page")
def open_agents_page(crm: str, ticket_id: str) -> Any:
    """Redirect the human agent to the connector's page. A link, because the policy allows forms to this origin only."""
    side = _crm(crm)
    _ticket(side, ticket_id)
    if not side.has_agents_page:
        abort(404, "The sandbox has not been told where the connector's page is.")
    try:
        return redirect(side.agents_page(ticket_id), 303)
    except crms.Refused as error:
        return redirect(url_for("page.show", crm=crm, ticket=ticket_id, problem=str(error)), 303)


@routes.post("/tickets/<crm>/<ticket_id>/reply")
def reply(crm: str, ticket_id: str) -> Any:
    """Reply from the customer's phone."""
    number = phones.read(request.form.get("number", ""))
    message = request.form.get("message", "").strip()
    if number is None or not message:
        abort(400, "A reply needs a phone number and a message.")
    return _done(crm, ticket_id, lambda: journal.box().ccaip.reply(number.e164, message))


@routes.post("/tickets/<crm>/<ticket_id>/chats/<int:chat_id>/<any(join, write, end):act>")
def converse(crm: str, ticket_id: str, chat_id: int, act: str) -> Any:
    """Play the agent in a chat: join it, write to the customer, or end it."""
    ccaip, message = journal.box().ccaip, request.form.get("message", "").strip()
    if chat_id not in ccaip.chats:
        abort(404, f"There is no chat {chat_id}.")
    acts: dict[str, Callable[[], Any]] = {
        "join": lambda: conversation.join(ccaip, chat_id),
        "write": lambda: conversation.write(ccaip, chat_id, message),
        "end": lambda: conversation.end(ccaip, chat_id),
    }
    if act == "write" and not message:
        abort(400, "An agent's message needs words.")
    return _done(crm, ticket_id, acts[act])


def _done(crm: str, ticket_id: str, act: Callable[[], Any]) -> Any:
    """Run an action, then show the ticket again, with the CRM's refusal if there was one."""
    try:
        act()
    except (ValueError, crms.Refused) as error:
        return redirect(url_for("page.show", crm=crm, ticket=ticket_id, problem=str(error)), 303)
    return redirect(url_for("page.show", crm=crm, ticket=ticket_id), 303)


def _crm(name: str) -> crms.Crm:
    found = journal.box().crms.get(name)
    if found is None:
        abort(404, f"There is no CRM {name}.")
    return found


def _ticket(side: crms.Crm, ticket_id: str) -> dict[str, Any]:
    try:
        return side.ticket(ticket_id)
    except crms.Refused as error:
        abort(404, str(error))


def _view() -> dict[str, Any]:
    """The data that the templates show."""
    box = journal.box()
    crm = request.args.get("crm") or next(iter(box.crms))
    side = _crm(crm)
    search, page = request.args.get("q", "").strip(), max(request.args.get("page", 1, int), 1)
    tickets, pages = side.tickets(search, page)
    chosen = request.args.get("ticket") or (tickets[0]["id"] if tickets else "")
    ticket = _ticket(side, chosen) if chosen else None
    number = phones.read(ticket["phone"] or "") if ticket else None
    known = box.ccaip.phones
    return {
        "crm": crm,
        "crms": list(box.crms),
        "has_agents_page": side.has_agents_page,
        "tickets": tickets,
        "search": search,
        "page": page,
        "pages": pages,
        "ticket": ticket,
        "number": number and number.e164,
        "chat": conversation.newest(box.ccaip, number.e164) if number else None,
        "messages": known[number.e164] if number else [],
        "opted_out": bool(number and number.e164 in known.opted_out),
        "quick_replies": QUICK_REPLIES,
        "problem": request.args.get("problem"),
    }
