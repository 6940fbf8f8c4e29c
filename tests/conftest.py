"""Real parts for every test: PostgreSQL with a database of its own, and the sandbox for the two remote sides."""

import contextlib
import itertools
import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from connector import database, settings

NUMBER = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server that all tests share: CONNECTOR_TEST_DATABASE_URL where it is set, else an embedded one."""
    given = os.environ.get("CONNECTOR_TEST_DATABASE_URL")
    wanted = settings.load(
        data_dir=tmp_path_factory.mktemp("data"), database_url=SecretStr(given) if given else None, _env_file=None
    )
    with database.running(wanted) as url:
        yield url


@contextlib.contextmanager
def created(server: str, name: str, template: str = "template1") -> Iterator[str]:
    """A database that is gone afterwards."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template {}").format(*map(sql.Identifier, (name, template))))
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """A migrated database that the tests' own databases are copies of."""
    name = f"connector_template_{os.getpid()}"
    with created(server, name) as url:
        database.migrate(url)
        yield name


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    """A database of the test's own, schema current, empty."""
    with created(server, f"connector_test_{os.getpid()}_{next(NUMBER)}", template) as url:
        yield url


@pytest.fixture
def pool(url: str) -> Iterator[ConnectionPool]:
    with database.pool(url, 8) as pool:
        yield pool
