"""connector run, serve and worker: the processes."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import psycopg
import structlog

from connector import crms, environment, settings, supervisor, tracing
from connector.cli import whereabouts, worker_probe
from connector.errors import BadSettings, Problems
from connector.oidc import settings as oidc_settings
from connector.store import mapping_version, postgres, setting_versions

if TYPE_CHECKING:
    from connector.mapping.rules import Mapping as TicketMapping
    from connector.preflight import Looked, Need

log = structlog.get_logger()


def web_needs(wanted: settings.Settings, mappings: "Mapping[str, TicketMapping]") -> None:
    """Check the settings as a web process does. Raises BadSettings."""
    from webhooks import crm_hooks

    problems = Problems()
    with problems.noted():
        crm_hooks.opened(wanted, mappings)
    with problems.noted():
        oidc_settings.load(wanted.public_url)
    problems.refuse()


def _worker(wanted: settings.Settings, mappings: "Mapping[str, TicketMapping]") -> None:
    """Check the settings as a worker does. Raises BadSettings."""
    from connector import preflight

    preflight.worker(wanted, mappings)


def _look(wanted: settings.Settings, *needs: "Need") -> "Looked":
    from connector import preflight

    return preflight.look(wanted, *needs)


def _accepted(*needs: "Need", here: bool = False, **given: object) -> settings.Settings:
    """The settings, once every check has passed. Logs warnings; raises BadSettings with all problems.

    `here` runs the checks in this process, which needs their imports anyway. Otherwise a child process runs them.
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


def _note_start(wanted: settings.Settings, url: str, process: str) -> None:
    """Record in the audit trail which settings and mapping files changed since the last start of such a process."""
    files = mapping_version.fingerprints(wanted.mappings_dir, crms.stems(wanted.mappings_dir))
    mappings = {f"{stem}.toml": fingerprint for stem, fingerprint in files.items()}
    values = settings.values()
    # Another database has an audit trail of its own, and the embedded one's address may differ at each start.
    values.pop("CONNECTOR_DATABASE_URL", None)
    with psycopg.connect(url, autocommit=True) as connection:
        setting_versions.register(connection, process, values, mappings)


# Set by `run` for its children, whose settings it has checked.
CHECKED = click.option("--checked", is_flag=True, hidden=True)


@click.command()
@click.option("--host", help="The address to listen on. [CONNECTOR_HOST, 127.0.0.1]")
@click.option("--port", type=int, help="The port to listen on. [CONNECTOR_PORT, 8080]")
def run(host: str | None, port: int | None) -> None:
    """The web process and a worker on this machine, until Ctrl-C."""
    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    wanted = _accepted(_worker, web_needs, here=False, **given)
    supervisor.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")
    if wanted.worker_metrics_port == wanted.port:
        raise BadSettings("CONNECTOR_WORKER_METRICS_PORT: expected another port than CONNECTOR_PORT")
    _require_free_for_metrics(wanted)

    def announced() -> bool:
        if there := supervisor.answers(wanted.host, wanted.port):
            where = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
            log.info(f"listening on http://{where}:{wanted.port}, 1 worker; see: connector status; stop with Ctrl-C")
        return there

    with postgres.ready(wanted) as url:
        variables = {
            "CONNECTOR_DATABASE_URL": url,
            "CONNECTOR_HOST": wanted.host,
            "CONNECTOR_PORT": str(wanted.port),
        }
        with supervisor.children(["serve", "worker"], variables, options=["--checked"]) as started:
            status = supervisor.wait(started, announced)
    sys.exit(status)


@click.command()
@CHECKED
def serve(checked: bool) -> None:
    """The web process alone: takes in what CRMs send."""
    wanted = settings.load() if checked else _accepted(web_needs)
    supervisor.require_free(wanted.host, wanted.port, "CONNECTOR_PORT")
    with postgres.ready(wanted) as url:
        _note_start(wanted, url, "serve")
        from webhooks.server import serve as serve_web

        with tracing.configured("serve", environment.OpenTelemetry().wanted):
            serve_web(wanted, url)


def _require_free_for_metrics(wanted: settings.Settings) -> None:
    """Raise BadSettings when the port for a worker's metrics is in use."""
    if wanted.worker_metrics_port:
        supervisor.require_free(wanted.worker_metrics_host, wanted.worker_metrics_port, "CONNECTOR_WORKER_METRICS_PORT")


@click.command(name="worker")
@CHECKED
@click.option("--probe", is_flag=True, help="Start nothing: say whether a worker on this machine is alive.")
def work(checked: bool, probe: bool) -> None:
    """A worker alone: texts, and writes back. Run as many as you like, on any machine.

    With --probe, status 0 if a worker on this machine was heard of within 30 seconds, else 1 and the reason.
    """
    if probe:
        sys.exit(worker_probe.probed())
    wanted = settings.load() if checked else _accepted(_worker, here=True)
    _require_free_for_metrics(wanted)
    with postgres.ready(wanted) as url:
        _note_start(wanted, url, "worker")
        from connector.worker import run

        with tracing.configured("worker", environment.OpenTelemetry().wanted):
            status = run.run(wanted, url)
    sys.exit(status)
