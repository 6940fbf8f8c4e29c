"""The command line: a thin skin. Each command reads the settings, puts the parts together, and hands over.

What only some commands need they import themselves: a web side does not carry a worker's libraries around.

Exit status: 0 done, 1 something is wrong or did not work, 2 the command line or the settings cannot be used.
"""

import sys

import click
import psycopg

from connector import __version__, database, logs, processes, settings
from connector.cli import backfill, operators
from connector.errors import BadMapping, BadSettings


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


for command in (*operators.COMMANDS, backfill.backfill):
    main.add_command(command)


@main.command()
@click.option("--host", help="The address to listen on. [CONNECTOR_HOST, 127.0.0.1]")
@click.option("--port", type=int, help="The port to listen on. [CONNECTOR_PORT, 8080]")
def run(host: str | None, port: int | None) -> None:
    """The web side and a worker on this machine, until Ctrl-C."""
    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    wanted = settings.load(**given)
    processes.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")
    settings.require_ccaip(wanted)
    with database.ready(wanted) as url:
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
    with database.ready(wanted) as url:
        serve_web(wanted, url)


@main.command(name="worker")
def work() -> None:
    """A worker alone: texts, and writes back. Run as many as you like, on any machine."""
    from connector import worker

    wanted = settings.load()
    with database.ready(wanted) as url:
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
