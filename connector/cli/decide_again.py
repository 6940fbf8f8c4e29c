"""connector texts decide-again: what would be decided about a text today, beside what was decided."""

import contextlib
import sys
from typing import TYPE_CHECKING

import click
import psycopg

from connector.cli import decisions
from connector.cli.connection import load_settings
from connector.cli.output import JSON, plain, print_json, say
from connector.cli.text_number import TextNumber
from connector.settings import Settings
from connector.store import postgres

if TYPE_CHECKING:
    from connector.dry_run.decide_again import Comparison


@click.command(name="decide-again")
@click.argument("id", type=TextNumber(1))
@JSON
def decide_again(id: int, as_json: bool) -> None:
    """Decide a text as if it came today, and name what differs from what was decided. Changes and sends nothing.

    The ticket is read from the CRM; mapping and policy are today's. Status 1: there is no such text, it has been
    erased, or the CRM cannot be asked.
    """
    settings = load_settings()
    with postgres.ready(settings) as url, psycopg.connect(url, autocommit=True) as connection:
        sys.exit(_decide_again(connection, settings, id, as_json))


def _decide_again(connection: psycopg.Connection, settings: Settings, text: int, as_json: bool) -> int:
    from connector import bootstrap, crms
    from connector.dry_run import decide_again as dry_run
    from connector.errors import CallFailed, NotThere

    mappings = bootstrap.mappings(settings)
    try:
        crm_name = dry_run.crm_of(connection, text, mappings)
        with contextlib.closing(crms.connect(crm_name, mappings[crm_name].file)) as crm:
            found = dry_run.decide_again(lambda: contextlib.nullcontext(connection), crm, mappings[crm_name], text)
    except NotThere as error:
        say(f"Text {text}: {error}.", err=True)
        return 1
    except CallFailed as error:
        say(f"{crm_name} cannot be asked: {error}", err=True)
        return 1
    if as_json:
        print_json(_as_json(found))
    else:
        _show(found)
    return 0


def _as_json(found: "Comparison") -> dict[str, object]:
    return {
        "text": found.text,
        "crm": found.crm,
        "ticket_id": found.ticket_id,
        "channel": found.channel,
        "state": found.state,
        "decided_at": found.decided_at,
        "at": found.at,
        "then": decisions.verdict_json(found.then),
        "now": decisions.verdict_json(found.now),
        "differences": [decisions.difference_json(one, "then", "now") for one in found.differences],
    }


def _show(found: "Comparison") -> None:
    from connector.dry_run.differences import in_words

    say(f"Text {found.text} about {found.ticket_id} ({found.channel}) is {found.state}. Nothing was changed.")
    say(f"  then  {plain(found.decided_at) if found.decided_at else '-':<20}  {in_words(found.then)}")
    say(f"  now   {plain(found.at):<20}  {in_words(found.now)}")
    say()
    if found.differences:
        say("What differs:")
        for line in decisions.difference_lines(found.differences, "then", "now"):
            say(line)
    elif found.decided_at:
        say("Nothing differs.")
