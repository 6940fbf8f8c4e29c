"""What keeps a web process or a worker from starting: all of it at once, before anything starts, and for checkup.py.

Nobody is asked: it is about settings and mapping files alone.
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
from connector.store import postgres

# What a process makes of these settings and mappings. Raises BadSettings. The web process's is its own business.
Need = Callable[[Settings, Mapping[str, TicketMapping]], object]


class Looked(NamedTuple):
    """What would be refused, and what is taken but hardly meant, both in words."""

    problems: list[str]
    warnings: list[str]


def look(wanted: Settings, *needs: Need) -> Looked:
    """Everything that these would refuse; variables that nobody knows, and what mapping files hardly mean."""
    problems, found = Problems(), dict[str, TicketMapping]()
    with problems.noted():
        postgres.require_place(wanted)
    with problems.noted():
        config.load()
    with problems.noted():
        found = bootstrap.mappings(wanted)
    for need in needs:
        with problems.noted():
            need(wanted, found)
    for stem in crms.known():
        importlib.import_module(f"connector.crms.{stem}")  # its settings are known then
    return Looked(list(problems), [*environment.unknown(), *bootstrap.advice(wanted, found)])


def worker(wanted: Settings, found: Mapping[str, TicketMapping]) -> None:
    """What a worker makes of them. Raises BadSettings with everything that is wrong."""
    problems = Problems()
    connects = (partial(_connect, stem, mapping) for stem, mapping in found.items())
    makes: list[Callable[[], object]] = [partial(bootstrap.account, wanted), *connects]
    for make in makes:
        with problems.noted():
            make()
    problems.refuse()


def _connect(stem: str, mapping: TicketMapping) -> None:
    crms.connect(stem, mapping.file).close()
