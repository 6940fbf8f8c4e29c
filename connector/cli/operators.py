"""What operators say at the command line: texts, the suppression list, keys. A skin over connector/cli/reports.py."""

import contextlib
import sys
from collections.abc import Iterator

import click
import psycopg

from connector import settings
from connector.cli import whereabouts
from connector.cli.text_number import TextNumber
from connector.errors import BadSettings
from connector.model import MOST_CHAT_ID, State
from connector.store import postgres
from connector.store.api_keys import Right
from connector.store.text_views import Only


@contextlib.contextmanager
def connected(may_make: bool = False) -> Iterator[psycopg.Connection]:
    """The database of a connector that runs, or would. `may_make`: an embedded one that does not exist is made."""
    with postgres.ready(wanted(may_make)) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


def wanted(may_make: bool = False) -> settings.Settings:
    """The settings. Says on standard error which database, org and tenant they mean.

    Raises BadSettings where there is no database yet and this command has nothing to put into a new one.
    """
    found = settings.load()
    new = postgres.to_be_made(found)
    if new and not may_make:
        raise BadSettings(
            f"there is no database in {new}. Start this command in the folder of your .env file, or set "
            "CONNECTOR_DATABASE_URL or CONNECTOR_DATA_DIR. A new database is made by: connector run"
        )
    click.echo(whereabouts.said(found), err=True)
    if new:
        click.echo(
            f"Making an embedded database in {new}. For another one, set CONNECTOR_DATABASE_URL or CONNECTOR_DATA_DIR.",
            err=True,
        )
    return found


TEXT = click.argument("id", type=TextNumber(1))
JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command()
@JSON
def status(as_json: bool) -> None:
    """Whether texts may leave, whether a worker is there, and how many texts are where. Status 1 if stopped."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.show_status(connection, as_json))


@click.command()
@click.option("--anyway", is_flag=True, help="Without asking CCAI Platform and the CRM first.")
def resume(anyway: bool) -> None:
    """Let texts leave again after a wrong setting was put right. It happens by itself too, a little later.

    What is stopped is asked first, by a request that can send nothing. Status 1 if it still refuses.
    """
    from connector.cli import resuming

    with connected() as connection:
        sys.exit(resuming.resume(connection, settings.load(), anyway))


@click.group()
def texts() -> None:
    """Look at texts, and settle those that are unknown."""


@texts.command(name="list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--ticket", metavar="ID", help="Only those about this ticket: its id, of 15 or 18 characters.")
@click.option(
    "--held",
    "only",
    flag_value=Only.HELD,
    help="Only those that wait for their hours or for another try, and until when.",
)
@click.option("--refused", "only", flag_value=Only.REFUSED, help="Only those whose outcome the CRM refuses, and why.")
@click.option(
    "--contradicted",
    "only",
    flag_value=Only.CONTRADICTED,
    help="Only those whose answer contradicts how a person had settled them.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@JSON
def list_texts(state: str | None, ticket: str | None, only: str | None, limit: int, as_json: bool) -> None:
    """The newest texts. For example: connector texts list --state unknown"""
    from connector.cli import reports

    with connected() as connection:
        chosen, part = State(state) if state else None, Only(only) if only else None
        sys.exit(reports.show_texts(connection, chosen, ticket, part, limit, as_json))


@texts.command()
@TEXT
@JSON
def show(id: int, as_json: bool) -> None:
    """One text and how it came to where it is. Numbers are masked."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.show_text(connection, id, as_json))


@texts.command()
@TEXT
@click.option(
    "--sent",
    "chat",
    type=click.IntRange(1, MOST_CHAT_ID),
    metavar="CHAT_ID",
    help="It was sent; this is its chat in CCAI Platform.",
)
@click.option("--not-sent", is_flag=True, help="It was not sent. The same reason may then be texted.")
def resolve(id: int, chat: int | None, not_sent: bool) -> None:
    """Settle a text that is unknown, after looking in CCAI Platform. The ticket is told; nothing is sent."""
    if (chat is None) is not not_sent:
        raise click.UsageError("expected either --sent CHAT_ID or --not-sent")
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.resolve(connection, id, chat))


@texts.command()
@TEXT
def cancel(id: int) -> None:
    """Take back a text that has not left. Its ticket is told."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.cancel(connection, id))


@texts.command(name="give-up")
@TEXT
@click.option("--why", required=True, help="For whoever looks at the text later.")
def give_up(id: int, why: str) -> None:
    """Stop telling a ticket what became of a text, where the CRM refuses it again and again."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.give_up(connection, id, why))


@click.group()
def suppress() -> None:
    """The suppression list: numbers that nobody texts, whatever the ticket says."""


NUMBER = click.argument("number")


@suppress.command(name="add")
@NUMBER
@click.option("--why", default="", help="For whoever looks at the list.")
def suppress_number(number: str, why: str) -> None:
    """Never text NUMBER (E.164, such as +14155550132) again."""
    from connector.cli import reports

    with connected(may_make=True) as connection:
        sys.exit(reports.suppress(connection, number, why))


@suppress.command(name="remove")
@NUMBER
def allow_number(number: str) -> None:
    """Let NUMBER be texted again. Status 1 if it is not on the list."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.allow(connection, number))


@suppress.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="How many, newest first.")
@JSON
def list_suppressed(limit: int, as_json: bool) -> None:
    """Who is on the list. Shows whole numbers: CCAI Platform's Do-Not-Contact list is kept by hand."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.show_suppressed(connection, limit, as_json))


@click.group()
def keys() -> None:
    """Keys to the API, /v1."""


@keys.command(name="add")
@click.argument("name")
@click.option(
    "--right",
    "rights",
    type=click.Choice([right.value for right in Right]),
    multiple=True,
    required=True,
    help="What it is good for; repeat the option for several.",
)
@click.option("--per-minute", type=click.IntRange(1), default=600, show_default=True, help="Requests it may make.")
def add_key(name: str, rights: tuple[str, ...], per_minute: int) -> None:
    """Make a key called NAME and show it, this once. For example:

    connector keys add salesforce --right preview --right send --right read
    """
    from connector.cli import reports

    with connected(may_make=True) as connection:
        sys.exit(reports.add_key(connection, name, [Right(one) for one in rights], per_minute))


@keys.command(name="revoke")
@click.argument("name")
def revoke_key(name: str) -> None:
    """Make the key called NAME worthless, from now on."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.revoke_key(connection, name))


@keys.command(name="list")
@JSON
def list_keys(as_json: bool) -> None:
    """Which keys there are, without the keys themselves."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.show_keys(connection, as_json))


@click.command()
@click.option("--phone", required=True, metavar="NUMBER", help="In E.164, such as +14155550132.")
@click.option("--suppress", is_flag=True, help="Also put it on the suppression list, so that no text still reaches it.")
def purge(phone: str, suppress: bool) -> None:
    """Erase one person: number, messages, words and events. What was not sent yet is cancelled. Event ids stay."""
    from connector.cli import reports

    with connected() as connection:
        sys.exit(reports.purge(connection, phone, suppress))


COMMANDS = (status, resume, texts, suppress, keys, purge)
