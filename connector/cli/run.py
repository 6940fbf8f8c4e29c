"""connector run, serve and worker: the processes."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import psycopg
import structlog

from connector import crms, environment, supervisor, tracing
from connector.cli import whereabouts, worker_probe
from connector.errors import BadSettings, Problems
from connector.oidc import settings as oidc_settings
from connector.settings import Settings, load, load_with_defaults, values_in_clear
from connector.store import mapping_version, postgres, setting_versions

if TYPE_CHECKING:
    from connector.mapping.rules import Mapping as TicketMapping
    from connector.preflight import Need, Preflight

log = structlog.get_logger()


def web_needs(settings: Settings, mappings: "Mapping[str, TicketMapping]") -> None:
    """Check the settings as a web process does. Raises BadSettings."""
    from webhooks import crm_hooks

    problems = Problems()
    with problems.noted():
        crm_hooks.opened(settings, mappings)
    with problems.noted():
        oidc_settings.load(settings.public_url)
    problems.refuse()


def _worker(settings: Settings, mappings: "Mapping[str, TicketMapping]") -> None:
    """Check the settings as a worker does. Raises BadSettings."""
    from connector import preflight

    preflight.worker(settings, mappings)


def _find_problems(settings: Settings, *needs: "Need") -> "Preflight":
    from connector import preflight

    return preflight.find_problems(settings, *needs)


def _accepted(*needs: "Need", here: bool = False, **given: object) -> Settings:
    """The settings, once every check has passed. Logs warnings; raises BadSettings with all problems.

    `here` runs the checks in this process, which needs their imports anyway. Otherwise a child process runs them.
    """
    problems = Problems()
    settings = load_with_defaults(problems, **given)
    found = _find_problems(settings, *needs) if here else supervisor.aside(_find_problems, settings, *needs)
    for words in found.warnings:
        log.warning(words)
    problems.add(found.problems)
    problems.refuse()
    log.info(whereabouts.said(settings))
    return settings


def _note_start(settings: Settings, url: str, process: str) -> None:
    """Record in the audit trail which settings and mapping files changed since the last start of such a process."""
    files = mapping_version.fingerprints(settings.mappings_dir, crms.names(settings.mappings_dir))
    mappings = {f"{crm_name}.toml": fingerprint for crm_name, fingerprint in files.items()}
    values = values_in_clear()
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
    settings = _accepted(_worker, web_needs, here=False, **given)
    supervisor.require_free(settings.host, settings.port, "CONNECTOR_PORT")
    if settings.worker_metrics_port == settings.port:
        raise BadSettings("CONNECTOR_WORKER_METRICS_PORT: expected another port than CONNECTOR_PORT")
    _require_free_for_metrics(settings)

    def announced() -> bool:
        if there := supervisor.answers(settings.host, settings.port):
            where = f"[{settings.host}]" if ":" in settings.host else settings.host
            log.info(f"listening on http://{where}:{settings.port}, 1 worker; see: connector status; stop with Ctrl-C")
        return there

    with postgres.ready(settings) as url:
        variables = {
            "CONNECTOR_DATABASE_URL": url,
            "CONNECTOR_HOST": settings.host,
            "CONNECTOR_PORT": str(settings.port),
        }
        with supervisor.children(["serve", "worker"], variables, options=["--checked"]) as started:
            status = supervisor.wait(started, announced)
    sys.exit(status)


@click.command()
@CHECKED
def serve(checked: bool) -> None:
    """The web process alone: webhooks, the API, the page for agents and the console."""
    settings = load() if checked else _accepted(web_needs)
    supervisor.require_free(settings.host, settings.port, "CONNECTOR_PORT")
    with postgres.ready(settings) as url:
        _note_start(settings, url, "serve")
        from webhooks.server import serve as serve_web

        with tracing.configured("serve", environment.OpenTelemetry().wanted):
            serve_web(settings, url)


def _require_free_for_metrics(settings: Settings) -> None:
    """Raise BadSettings when the port for a worker's metrics is in use."""
    if settings.worker_metrics_port:
        supervisor.require_free(
            settings.worker_metrics_host, settings.worker_metrics_port, "CONNECTOR_WORKER_METRICS_PORT"
        )


@click.command(name="worker")
@CHECKED
@click.option("--probe", is_flag=True, help="Start nothing: say whether a worker on this machine is alive.")
def work(checked: bool, probe: bool) -> None:
    """A worker alone: sends texts and writes outcomes back. Run any number, on any machine.

    With --probe, status 0 if a worker on this machine was heard of within 30 seconds, else 1 and the reason.
    """
    if probe:
        sys.exit(worker_probe.probed())
    settings = load() if checked else _accepted(_worker, here=True)
    _require_free_for_metrics(settings)
    with postgres.ready(settings) as url:
        _note_start(settings, url, "worker")
        from connector.worker import run

        with tracing.configured("worker", environment.OpenTelemetry().wanted):
            status = run.run(settings, url)
    sys.exit(status)
