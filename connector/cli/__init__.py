"""The command line: a thin skin. Each command reads the settings, puts the parts together, and hands over.

What only some commands need they import themselves: a web side does not carry a worker's libraries around.

Exit status: 0 done, 1 something is wrong or did not work, 2 the command line or the settings cannot be used.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import psycopg
import structlog

from connector import __version__, harmless, logs, settings, supervisor
from connector.cli import backfill, console, operators, whereabouts
from connector.errors import BadMapping, BadSettings, Problems
from connector.store import migrations, postgres

if TYPE_CHECKING:
    from connector.mapping.rules import Mapping as TicketMapping
    from connector.preflight import Looked, Need

log = structlog.get_logger()


class Refusing(click.Group):
    """Says what is wrong with settings and mappings in words, without a traceback, on any console."""

    def main(self, *args: Any, **extra: Any) -> Any:
        console.forgiving()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (BadSettings, BadMapping) as error:
            raise click.UsageError(str(error)) from None
        except UnicodeEncodeError:
            raise click.UsageError("an argument has characters that are no text in this console's encoding") from None
        except psycopg.OperationalError as error:
            raise click.ClickException(f"the database does not answer: {str(error).splitlines()[0]}") from None
        except psycopg.errors.ReadOnlySqlTransaction:
            raise click.ClickException("the database cannot be written: it is read-only now") from None


@click.group(cls=Refusing, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="connector")
def main() -> None:
    """Texts customers through CCAI Platform when a CRM asks for it, once, and tells the ticket what came of it.

    Settings are CONNECTOR_… variables, or stand in a file .env in the working folder: see the README.
    """
    logs.configure()


for command in (*operators.COMMANDS, backfill.backfill):
    main.add_command(command)


def _web(wanted: settings.Settings, mappings: "Mapping[str, TicketMapping]") -> None:
    """What a web side makes of these settings. Raises BadSettings."""
    from webhooks import crm_hooks

    crm_hooks.opened(wanted, mappings)


def _worker(wanted: settings.Settings, mappings: "Mapping[str, TicketMapping]") -> None:
    """What a worker makes of them. Raises BadSettings."""
    from connector import preflight

    preflight.worker(wanted, mappings)


def _look(wanted: settings.Settings, *needs: "Need") -> "Looked":
    from connector import preflight

    return preflight.look(wanted, *needs)


def _accepted(*needs: "Need", here: bool = False, **given: object) -> settings.Settings:
    """The settings, which these can start with. Warns of what is hardly meant; raises BadSettings with every problem.

    `here`: this process will need all that is loaded for looking at them; others do without.
    """
    problems = Problems()
    wanted = settings.look(problems, **given)
    looked = _look(wanted, *needs) if here else supervisor.aside(_look, wanted, *needs)
    for words in looked.warnings:
        log.warning(words)
    problems.add(looked.problems)
    problems.refuse()
    log.info(whereabouts.said(wanted))
    return wanted


# What `run` has looked at already, its children do not look at again.
CHECKED = click.option("--checked", is_flag=True, hidden=True)


@main.command()
@click.option("--host", help="The address to listen on. [CONNECTOR_HOST, 127.0.0.1]")
@click.option("--port", type=int, help="The port to listen on. [CONNECTOR_PORT, 8080]")
def run(host: str | None, port: int | None) -> None:
    """The web side and a worker on this machine, until Ctrl-C."""
    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    wanted = _accepted(_worker, _web, here=False, **given)
    supervisor.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")

    def announced() -> bool:
        if there := supervisor.answers(wanted.host, wanted.port):
            where = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
            log.info(f"listening on http://{where}:{wanted.port}, 1 worker; see: connector status; stop with Ctrl-C")
        return there

    with postgres.ready(wanted) as url:
        environment = {
            "CONNECTOR_DATABASE_URL": url,
            "CONNECTOR_HOST": wanted.host,
            "CONNECTOR_PORT": str(wanted.port),
        }
        with supervisor.children(["serve", "worker"], environment, options=["--checked"]) as started:
            status = supervisor.wait(started, announced)
    sys.exit(status)


@main.command()
@CHECKED
def serve(checked: bool) -> None:
    """The web side alone: takes in what CRMs send."""
    wanted = settings.load() if checked else _accepted(_web)
    supervisor.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")
    with postgres.ready(wanted) as url:
        from webhooks.server import serve as serve_web

        serve_web(wanted, url)


@main.command(name="worker")
@CHECKED
def work(checked: bool) -> None:
    """A worker alone: texts, and writes back. Run as many as you like, on any machine."""
    wanted = settings.load() if checked else _accepted(_worker, here=True)
    with postgres.ready(wanted) as url:
        from connector.worker import run

        status = run.run(wanted, url)
    sys.exit(status)


@main.command()
def migrate() -> None:
    """Bring the database's schema up to date. Safe to run again, and while others run it."""
    with postgres.running(operators.wanted(may_make=True)) as url:
        ran = migrations.migrate(url)
    click.echo("\n".join(f"migrated: {name}" for name in ran) or "the schema is current")


@main.command(name="check")
@click.option("--offline", is_flag=True, help="Ask nobody: settings and mapping files only.")
def run_check(offline: bool) -> None:
    """Show the mappings in words, and whether everything fits: settings, database, CCAI Platform, CRMs. Sends nothing.

    Status 1 if something is wrong.
    """
    from connector.cli import check

    marks = set()
    for line, mark in check.run(_web, offline):
        click.echo(harmless.on_screen(f"{mark}  {line}" if mark else line))
        marks.add(mark)
    sys.exit(1 if check.Mark.WRONG in marks else 0)


@main.command()
@click.option("--port", type=int, default=8787, show_default=True, help="The port to listen on, on 127.0.0.1.")
@click.option(
    "--outbound-message-url",
    help="Where the sandbox's Salesforce sends outbound messages: an address of this machine.",
)
def sandbox(port: int, outbound_message_url: str | None) -> None:
    """Both remote sides, emulated, on this machine only: CCAI Platform's endpoint and Salesforce."""
    from connector.sandbox import Sandbox

    supervisor.require_free("127.0.0.1", port, "--port")
    box = Sandbox(port=port, outbound_message_url=outbound_message_url)
    click.echo(f"The sandbox is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    box.serve()


@main.command(name="demo")
@click.option("--once", is_flag=True, help="End after one text; exit status 0 only if the case carries its chat id.")
@click.option("--port", type=int, default=8080, show_default=True, help="The web side's port.")
@click.option("--sandbox-port", type=int, default=8787, show_default=True, help="The sandbox's port.")
def run_demo(once: bool, port: int, sandbox_port: int) -> None:
    """The whole way once, on this machine: a case is updated, a text leaves, the case learns its chat."""
    from connector.cli import demo as show

    sys.exit(show.run(settings.load(), port, sandbox_port, stay=not once and sys.stdout.isatty()))
