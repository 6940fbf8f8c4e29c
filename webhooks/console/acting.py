"""Actions of forms: done in the database, or refused with the reason on the page that the form came from."""

from collections.abc import Callable

import psycopg
from flask import request
from flask.typing import ResponseReturnValue

from connector.errors import ActionRefused
from webhooks.console.page import Console


def attempt(console: Console, do: Callable[[psycopg.Connection], str], to: str | None = None) -> ResponseReturnValue:
    """Do one action, and return to the page (or to `to`) with its words, or with the reason why it was refused."""
    try:
        with console.read() as connection:
            words = do(connection)
    except ActionRefused as error:
        return console.refused(str(error))
    return console.done(words, to)


def reason() -> str:
    """The reason in the form. Raises ActionRefused when there is none."""
    why = request.form.get("why", "").strip()
    if not why:
        raise ActionRefused("this", "needs a reason: say why. Nothing was done")
    return why
