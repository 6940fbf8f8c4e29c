"""CCAI Platform's routes: the outbound SMS endpoint, and the Manager API's list of chats."""

import hmac
from datetime import UTC, datetime
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import MultiDict

from connector.sandbox import journal
from connector.sandbox.ccaip import CcaiPlatform, chats, refusals

MAX_PER_PAGE = 100

routes = Blueprint("ccaip", __name__)
journal.keep(routes)


@routes.before_request
def authenticate() -> None:
    settings, given = journal.box().ccaip.settings, request.authorization
    expected = f"{settings.subdomain}:{settings.api_token}".encode()
    actual = f"{given.username}:{given.password}".encode() if given and given.type == "basic" else b""
    if not hmac.compare_digest(expected, actual):
        raise refusals.Refused(str(journal.box().switches["unauthorized_message"]), 401)


@routes.errorhandler(refusals.Refused)
def refuse(refused: refusals.Refused) -> tuple[Response, int, dict[str, str]]:
    return jsonify(message=refused.message), refused.status, refused.headers


@routes.post("/apps/api/v1/sms")
def sms() -> Response:
    """Create an outbound SMS chat."""
    ccaip: CcaiPlatform = journal.box().ccaip
    ccaip.admit()
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise refusals.Refused("request body is not a JSON object")
    chat = ccaip.send(body)
    journal.count(1)
    return jsonify(chat)


@routes.get("/manager/api/v1/chats")
def list_chats() -> Response:
    """List chats in pages, sorted by `sort_column`. `updated_at[from]` selects those changed since then."""
    query = request.args
    found = journal.box().ccaip.chats_since(_moment(query.get("updated_at[from]")))
    names_ticket = bool(journal.box().switches["list_names_ticket"])
    rows = [chats.manager_json(chat, names_ticket) for chat in found]
    column = query.get("sort_column", "id")
    if rows and column not in rows[0]:
        raise refusals.Refused(f"sort_column {column} is invalid")
    rows.sort(key=lambda row: (row[column] is not None, row[column]), reverse=_descending(query))
    per = min(max(query.get("per", MAX_PER_PAGE, int), 1), MAX_PER_PAGE)
    page = max(query.get("page", 1, int), 1)
    answer = jsonify(rows[(page - 1) * per : page * per])
    answer.headers.update({"Total": str(len(rows)), "Per-Page": str(per), "Link": _link(page, per, len(rows))})
    return answer


def _descending(query: MultiDict[str, str]) -> bool:
    return query.get("sort_direction", "ASC").upper() == "DESC"


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refusals.Refused("updated_at[from] is invalid") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _link(page: int, per: int, total: int) -> str:
    """The RFC 5988 Link header with the first, previous, next and last page, where they exist."""
    last = max(-(-total // per), 1)
    pages = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    kept = {name: number for name, number in pages.items() if 1 <= number <= last}
    arguments = {key: value for key, value in request.args.items() if key not in ("page", "per")}
    base = request.base_url
    return ", ".join(
        f'<{base}?{urlencode(arguments | {"page": number, "per": per})}>; rel="{name}"' for name, number in kept.items()
    )
