"""When two texts are for one reason, and two values of a ticket are one value. Pure."""

import hashlib
import json
from datetime import datetime
from typing import Any

from connector.mapping.schema import Rule
from connector.model import Ticket


def reason_of(rule: Rule, ticket: Ticket, name: str | None = None) -> str:
    """Return the key that makes two texts the same text: a hash, because `once_per` may name personal data.

    `name`: that of a back-fill's own reason. Capitals make no difference.
    """
    values: list[Any] = [ticket.values.get(field) for field in rule.once_per]
    if name is not None:
        values.append({"reason": name.casefold()})
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


def same_value(one: object, other: object) -> bool:
    """Return whether a CRM treats the two values as equal: empty is null, and a time has several spellings."""
    texts = ["" if value is None else str(value).strip() for value in (one, other)]
    if texts[0].casefold() == texts[1].casefold():
        return True
    try:
        return datetime.fromisoformat(texts[0]) == datetime.fromisoformat(texts[1])
    except (ValueError, TypeError):
        return False
