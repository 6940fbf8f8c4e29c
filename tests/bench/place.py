"""Where it is measured: a database server, a folder, and each stack with an upstream and a database of its own."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from connector.store import migrations
from tests.bench import stack
from tests.bench.stack import Stack, Upstream
from tests.conftest import created

NUMBER = itertools.count()


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and with how many workers."""

    rounds: int = 3
    workers: int = 1
    accept: int = 3000
    outbound: int = 12_000
    delayed: int = 2000
    idle: int = 40
    pace_settle: float = 10
    pace_look: float = 60
    memory: int = 100_000
    old: tuple[int, ...] = (500_000, 1_000_000)
    turns: int = 8

    @classmethod
    def of(cls, quick: bool, rounds: int | None, workers: int, old: int | None) -> "Sizes":
        """None: the usual number of rounds, and of old texts."""
        if quick:
            return cls(rounds or 1, workers, 300, 300, 100, 5, 2, 6, 2000, (20_000 if old is None else old,), 1)
        return cls(rounds or cls.rounds, workers, old=cls.old if old is None else (old // 2, old))


@dataclass(frozen=True)
class Place:
    """`server`: URL of a PostgreSQL on which databases can be created. `rivals`: their commands by their names."""

    server: str
    folder: Path
    sizes: Sizes = field(default_factory=Sizes)
    rivals: Mapping[str, str] = field(default_factory=dict)

    @property
    def everybody(self) -> list[str]:
        """The names of all stacks."""
        return ["connector", "naive", *self.rivals]

    @contextlib.contextmanager
    def running(self, name: str, delay: float = 0) -> Iterator[tuple[Stack, Upstream]]:
        """One stack, with nothing in it yet, and the upstream that it talks to."""
        if name == "connector":
            with self.connector(delay) as (one, there, _):
                yield one, there
            return
        with stack.upstream(delay) as there:
            known = stack.naive(there, self.logs()) if name == "naive" else None
            with known or stack.rival(name, self.rivals[name], there, self.logs()) as one:
                yield one, there

    @contextlib.contextmanager
    def connector(
        self, delay: float = 0, workers: int = 0, per_second: float = 0
    ) -> Iterator[tuple[Stack, Upstream, str]]:
        """The connector, its upstream and its database's URL. `workers` 0: the usual number."""
        workers = workers or self.sizes.workers
        with self.ledger(delay) as (there, url), stack.connector(there, url, self.logs(), workers, per_second) as one:
            yield one, there, url

    @contextlib.contextmanager
    def ledger(self, delay: float = 0) -> Iterator[tuple[Upstream, str]]:
        """An upstream, and the URL of a database that a connector can use with it."""
        with (
            stack.upstream(delay) as there,
            created(self.server, f"connector_bench_{os.getpid()}_{next(NUMBER)}") as url,
        ):
            migrations.migrate(url)
            yield there, url

    def logs(self) -> Path:
        """A folder of its own for what the processes of one stack say."""
        folder = self.folder / f"logs-{next(NUMBER)}"
        folder.mkdir()
        return folder

    def say(self, words: str) -> None:
        """What is going on, for people."""
        click.echo(words, err=True)
