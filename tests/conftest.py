"""Real parts for every test: PostgreSQL with a database of its own, and the sandbox for the two remote sides."""

import atexit
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from connector import settings
from connector.sandbox import Sandbox
from connector.store import migrations, postgres
from tests.support.agent import Agent
from tests.support.pipe import Pipe, running
from webhooks.agent_page.sessions import AgentSessions

# A machine that is busy with other tests says nothing about the code.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("busy")
NUMBER = itertools.count()
MEMORY = Path("/dev/shm")  # noqa: S108 -- folders in it are made by mkdtemp
# The files that take longest. They begin, so that processes that share all files out have none left at the end.
LONGEST = (
    *("cli/test_backfill.py", "store/test_state_machine.py", "webhooks/test_away.py", "cli/test_cli.py"),
    *("store/test_embedded.py", "webhooks/test_server.py", "delivery/test_policy.py", "crms/test_salesforce_names.py"),
    *("e2e/test_alarms.py", "e2e/test_crashes.py", "e2e/test_hosts.py", "e2e/test_backup.py", "e2e/test_package.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / path: position for position, path in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The server that all tests share: CONNECTOR_TEST_DATABASE_URL where it is set, else an embedded one.

    It need not outlive a power failure. Each test's database is dropped, which would flush the whole server to disk.
    Not in one of pytest's folders: for root it belongs to another user, and pytest locks all others out of all of them
    when it is started once more.
    """
    with own_server(os.environ.get("CONNECTOR_TEST_DATABASE_URL"), "connector-test-") as (url, _):
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
            connection.execute("select pg_reload_conf()")
        yield url


def server_folder(prefix: str) -> Path:
    """A new folder for a server's data, in memory if there is room: a database is made there in a tenth of the time."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 10**9
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if in_memory else None))


@contextlib.contextmanager
def own_server(given: str | None, prefix: str) -> Iterator[tuple[str, Path]]:
    """The server that is given, else an embedded one; and a folder that is gone when this program has ended."""
    folder = server_folder(prefix)
    # At the very end: the embedded server's library looks into its folder once more when the program ends.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    wanted: settings.Settings = settings.load(
        data_dir=folder / "data", database_url=SecretStr(given) if given else None, _env_file=None
    )
    with postgres.running(wanted) as url:
        yield url, folder


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
        migrations.migrate(url)
        yield name


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    """A database of the test's own, schema current, empty."""
    with created(server, f"connector_test_{os.getpid()}_{next(NUMBER)}", template) as url:
        yield url


@pytest.fixture
def pool(url: str) -> Iterator[ConnectionPool]:
    with postgres.pool(url, 8) as pool:
        yield pool


@pytest.fixture(scope="session")
def pipe(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """One running pipe for all tests; each has cases of its own. At the end its logs are searched for secrets."""
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_pipe", template) as url,
        running(box, url, tmp_path_factory.mktemp("logs"), busy_seconds="0") as pipe,
    ):
        yield pipe
        logs = "".join(path.read_text() for path in pipe.logs.glob("*.log"))
        assert pipe.token not in logs
        assert pipe.key not in logs
        assert "Hi " not in logs
        for text in box.ccaip.texts:
            assert text.number not in logs


@pytest.fixture
def case(pipe: Pipe) -> Iterator[str]:
    """A case of the test's own, with a number that can be texted. Faults end with the test."""
    yield pipe.box.salesforce.make_cases(1)[0]
    pipe.box.faults.clear()


@pytest.fixture
def agents(pipe: Pipe) -> Iterator[Callable[[], Agent]]:
    """As many people with browsers as are wanted."""
    with contextlib.ExitStack() as stack:

        def another() -> Agent:
            agent = Agent(pipe)
            stack.enter_context(agent.client)
            return agent

        yield another


@pytest.fixture
def agent(agents: Callable[[], Agent]) -> Agent:
    return agents()


@pytest.fixture
def ours(pipe: Pipe) -> Iterator[AgentSessions]:
    """The links of the running web process: whatever is sealed with these, it takes."""
    with ConnectionPool(pipe.url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=True) as pool:
        yield AgentSessions(pool)
