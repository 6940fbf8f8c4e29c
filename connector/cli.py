"""The command line: a thin skin. Each command reads the settings, puts the parts together, and hands over.

What only some commands need they import themselves: a web side does not carry a worker's libraries around.

Exit status: 0 done, 1 something is wrong or did not work, 2 the command line or the settings cannot be used.
"""

import contextlib
import sys
from collections.abc import Iterator

import click
import psycopg

from connector import __version__, database, logs, processes, settings
from connector.errors import BadMapping, BadSettings
from connector.model import State


class Refusing(click.Group):
    """Says what is wrong with settings and mappings in words, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (BadSettings, BadMapping) as error:
            raise click.UsageError(str(error)) from None
        except psycopg.OperationalError as error:
            raise click.ClickException(f"the database does not answer: {str(error).splitlines()[0]}") from None


@click.group(cls=Refusing, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="connector")
def main() -> None:
    """Texts customers through CCAI Platform when a CRM asks for it, once, and tells the ticket what came of it.

    Settings are CONNECTOR_… variables, or stand in a file .env in the working folder: see the README.
    """
    logs.configure()


@contextlib.contextmanager
def _ready_database(wanted: settings.Settings) -> Iterator[str]:
    """A database with a current schema; an embedded one is brought up to date by itself."""
    with database.running(wanted) as url:
        if wanted.database_url is None:
            database.migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            if not database.current(connection):
                raise BadSettings("the database's schema is not current; bring it up to date with: connector migrate")
        yield url


@main.command()
@click.option("--host", help="The address to listen on. [CONNECTOR_HOST, 127.0.0.1]")
@click.option("--port", type=int, help="The port to listen on. [CONNECTOR_PORT, 8080]")
def run(host: str | None, port: int | None) -> None:
    """The web side and a worker on this machine, until Ctrl-C."""
    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    wanted = settings.load(**given)
    processes.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")
    settings.require_ccaip(wanted)
    with _ready_database(wanted) as url:
        environment = {
            "CONNECTOR_DATABASE_URL": url, "CONNECTOR_HOST": wanted.host, "CONNECTOR_PORT": str(wanted.port),
        }
        with processes.children(["serve", "worker"], environment) as started:
            status = processes.wait(started)
    sys.exit(status)


@main.command()
def serve() -> None:
    """The web side alone: takes in what CRMs send."""
    from webhooks.serve import serve as serve_web

    wanted = settings.load()
    processes.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")
    with _ready_database(wanted) as url:
        serve_web(wanted, url)


@main.command(name="worker")
def work() -> None:
    """A worker alone: texts, and writes back. Run as many as you like, on any machine."""
    from connector import worker

    wanted = settings.load()
    with _ready_database(wanted) as url:
        worker.run(wanted, url)


@main.command()
def migrate() -> None:
    """Bring the database's schema up to date. Safe to run again, and while others run it."""
    with database.running(settings.load()) as url:
        ran = database.migrate(url)
    click.echo("\n".join(f"migrated: {name}" for name in ran) or "the schema is current")


@main.command()
@click.option("--offline", is_flag=True, help="Show the mappings only; ask nobody.")
def check(offline: bool) -> None:
    """Show the mappings in words, and ask CCAI Platform and the CRMs whether everything fits. Sends nothing."""
    from connector import checkup, parts

    wanted = settings.load()
    wrong = False
    for stem, mapping in parts.mappings(wanted).items():
        for line, _ in checkup.in_words(stem, mapping):
            click.echo(line)
    for line, fine in () if offline else checkup.remote(wanted):
        wrong = wrong or fine is False
        click.echo(f"{ {True: 'ok', False: 'WRONG', None: '--'}[fine] }  {line}")
    sys.exit(1 if wrong else 0)


@contextlib.contextmanager
def _connected() -> Iterator[psycopg.Connection]:
    """The database of a connector that runs, or would."""
    with _ready_database(settings.load()) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@main.command()
@JSON
def status(as_json: bool) -> None:
    """Whether texts may leave, and how many are where. Status 1 if texting is stopped."""
    from connector import operators

    with _connected() as connection:
        sys.exit(operators.show_status(connection, as_json))


@main.command()
def resume() -> None:
    """Let texts leave again after a wrong setting was put right. It happens by itself too, a little later."""
    from connector import operators

    with _connected() as connection:
        sys.exit(operators.resume(connection))


@main.group()
def texts() -> None:
    """Look at texts, and settle those that are unknown."""


@texts.command(name="list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--ticket", metavar="ID", help="Only those about this ticket.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@JSON
def list_texts(state: str | None, ticket: str | None, limit: int, as_json: bool) -> None:
    """The newest texts. For example: connector texts list --state unknown"""
    from connector import operators

    with _connected() as connection:
        sys.exit(operators.show_texts(connection, State(state) if state else None, ticket, limit, as_json))


@texts.command()
@click.argument("id", type=int)
@JSON
def show(id: int, as_json: bool) -> None:
    """One text and how it came to where it is. Numbers are masked."""
    from connector import operators

    with _connected() as connection:
        sys.exit(operators.show_text(connection, id, as_json))


@texts.command()
@click.argument("id", type=int)
@click.option("--sent", "chat", type=int, metavar="CHAT_ID", help="It was sent; this is its chat in CCAI Platform.")
@click.option("--not-sent", is_flag=True, help="It was not sent. The same reason may then be texted.")
def resolve(id: int, chat: int | None, not_sent: bool) -> None:
    """Settle a text that is unknown, after looking in CCAI Platform. The ticket is told; nothing is sent."""
    if (chat is None) is not not_sent:
        raise click.UsageError("expected either --sent CHAT_ID or --not-sent")
    from connector import operators

    with _connected() as connection:
        sys.exit(operators.resolve(connection, id, chat))


@main.command()
@click.option("--phone", required=True, metavar="NUMBER", help="In E.164, such as +14155550132.")
def purge(phone: str) -> None:
    """Erase one person: number, messages and events. What was not sent yet is cancelled. The keys stay."""
    from connector import operators

    with _connected() as connection:
        sys.exit(operators.purge(connection, phone))


@main.command()
@click.option("--port", type=int, default=8787, show_default=True, help="The port to listen on, on 127.0.0.1.")
@click.option(
    "--outbound-message-url",
    help="Where the sandbox's Salesforce sends outbound messages: an address of this machine.",
)
def sandbox(port: int, outbound_message_url: str | None) -> None:
    """Both remote sides, emulated, on this machine only: CCAI Platform's endpoint and Salesforce."""
    from connector.sandbox import Sandbox

    processes.require_free("127.0.0.1", port, "--port")
    box = Sandbox(port=port, outbound_message_url=outbound_message_url)
    click.echo(f"The sandbox is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    box.serve()


@main.command()
@click.option("--once", is_flag=True, help="End after one text; exit status 0 only if the case carries its chat id.")
@click.option("--port", type=int, default=8080, show_default=True, help="The web side's port.")
@click.option("--sandbox-port", type=int, default=8787, show_default=True, help="The sandbox's port.")
def demo(once: bool, port: int, sandbox_port: int) -> None:
    """The whole way once, on this machine: a case is updated, a text leaves, the case learns its chat."""
    from connector import demo as show

    sys.exit(show.run(settings.load(), port, sandbox_port, stay=not once and sys.stdout.isatty()))
