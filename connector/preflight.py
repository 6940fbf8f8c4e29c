"""Check everything that can keep a web process or a worker from starting, before it starts; also for `connector check`.

All problems are reported at once. Only settings and mapping files are checked: no remote side is called.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from connector import bootstrap, crms, environment
from connector.errors import Problems
from connector.http import config
from connector.mapping.rules import Mapping as TicketMapping
from connector.settings import Settings
from connector.settings_checks import require_safe_metrics
from connector.store import postgres

# Builds what a process needs from these settings and mappings. Raises BadSettings. The web process has its own.
Need = Callable[[Settings, Mapping[str, TicketMapping]], object]


class Preflight(NamedTuple):
    """Problems that would be refused, and warnings about what is valid but probably unintended."""

    problems: list[str]
    warnings: list[str]


def find_problems(settings: Settings, *needs: Need) -> Preflight:
    """Return everything that these needs refuse, and warnings about unknown variables and about mapping files."""
    problems, found = Problems(), dict[str, TicketMapping]()
    with problems.noted():
        postgres.require_place(settings)
    with problems.noted():
        config.load()
    with problems.noted():
        found = bootstrap.mappings(settings)
    for need in needs:
        with problems.noted():
            need(settings, found)
    importlib.import_module("connector.oidc.settings")  # registers its settings
    for crm_name in crms.known():
        importlib.import_module(f"connector.crms.{crm_name}")  # registers its settings
    return Preflight(list(problems), [*environment.unknown(), *bootstrap.advice(settings, found)])


def worker(settings: Settings, found: Mapping[str, TicketMapping]) -> None:
    """Build what a worker needs. Raises BadSettings with all problems."""
    problems = Problems()
    connects = (partial(_connect, crm_name, mapping) for crm_name, mapping in found.items())
    makes: list[Callable[[], object]] = [
        partial(bootstrap.account, settings),
        partial(require_safe_metrics, settings),
        *connects,
    ]
    for make in makes:
        with problems.noted():
            make()
    problems.refuse()


def _connect(crm_name: str, mapping: TicketMapping) -> None:
    crms.connect(crm_name, mapping.file).close()
