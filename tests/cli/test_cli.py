"""The command line as a user meets it: in a process of its own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from connector import supervisor
from connector.cli import demo
from connector.sandbox import Sandbox
from tests.support.command import connector
from tests.support.pipe import free_port, wait_for


def test_the_demo_ends_with_the_chat_id_on_the_case_also_after_an_opt_out_and_a_pause(tmp_path: Path) -> None:
    port = str(free_port())
    for _ in range(2):
        ports = ["--port", port, "--sandbox-port", str(free_port())]
        done = connector("demo", "--once", *ports, CONNECTOR_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        for step in ("event", "decision", "SMS request", "chat", "write-back"):
            assert f"  {step} " in done.stdout
        assert "│ Sent" in done.stdout
        for command in (["suppress", "add", "+14155550132"], ["pause", "--why", "a try"]):
            changed = connector(*command, CONNECTOR_DATA_DIR=str(tmp_path / f"demo-{port}"))
            assert changed.returncode == 0, changed.stderr


def test_the_demo_never_uses_the_configured_database_and_says_why_it_ends_without_a_terminal(tmp_path: Path) -> None:
    ports = ["--port", str(free_port()), "--sandbox-port", str(free_port())]
    elsewhere = "postgresql://connector@127.0.0.1:1/connector"
    done = connector("demo", *ports, CONNECTOR_DATA_DIR=str(tmp_path), CONNECTOR_DATABASE_URL=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not a terminal" in done.stderr


@pytest.mark.parametrize("option", ["--port", "--sandbox-port"])
def test_a_port_in_use_is_told_with_its_option(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = {"--port": "--sandbox-port", "--sandbox-port": "--port"}[option]
        port = str(taken.getsockname()[1])
        done = connector("demo", "--once", option, port, other, str(free_port()), CONNECTOR_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert f"{option}: port {port}" in done.stderr


def test_run_without_settings_says_which_are_missing_and_starts_nothing(tmp_path: Path) -> None:
    done = connector("run", "--port", str(free_port()), CONNECTOR_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    for name in ("SUBDOMAIN", "DOMAIN", "TOKEN", "OUTBOUND_NUMBER"):
        assert f"CONNECTOR_CCAIP_{name}" in done.stderr
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET", "ORGANIZATION_ID", "OUTBOUND_MESSAGE_TOKENS"):
        assert done.stderr.count(f"CONNECTOR_SALESFORCE_{name}: ") == 1
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [], "no database, no worker"


def test_run_says_where_it_listens_once_it_does_and_warns_of_what_has_no_effect(url: str, tmp_path: Path) -> None:
    port = free_port()
    with run(url, tmp_path, port, CONNECTOR_BATCH_SHAER="0.5") as (running, said):
        assert f"listening on http://127.0.0.1:{port}, 1 worker; see: connector status; stop with" in said[-1]
        assert supervisor.answers("127.0.0.1", port)
        assert "".join(said).count("CONNECTOR_BATCH_SHAER is not known and has no effect; did you mean") == 1
        running.terminate()
        rest = running.communicate(timeout=60)[1]
    assert running.returncode == 0, rest


def test_run_says_which_process_was_killed_and_ends_with_the_others(url: str, tmp_path: Path) -> None:
    with run(url, tmp_path, free_port()) as (running, _):
        serve, worker = children(running)
        worker.kill()
        rest = running.communicate(timeout=60)[1]
        assert running.returncode == 1
        [said] = [line for line in map(json.loads, rest.splitlines()) if line["level"] == "error"]
        assert (said["process"], said["why"]) == ("worker", "killed by SIGKILL")
        assert not serve.is_running()


def test_a_service_manager_may_ask_all_of_them_to_stop(url: str, tmp_path: Path) -> None:
    with run(url, tmp_path, free_port()) as (running, _):
        for child in children(running):
            child.terminate()
        running.terminate()
        rest = running.communicate(timeout=60)[1]
    assert (running.returncode, [line for line in rest.splitlines() if '"error"' in line]) == (0, [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells them")
def test_no_process_is_left_behind_by_a_run_that_was_killed(url: str, tmp_path: Path) -> None:
    with run(url, tmp_path, port := free_port()) as (running, _):
        left = children(running)
        running.kill()
        assert psutil.wait_procs(left, timeout=30)[1] == []
        supervisor.require_free("127.0.0.1", port, "CONNECTOR_PORT")


@contextlib.contextmanager
def run(url: str, folder: Path, port: int, **variables: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`connector run` with a sandbox, once it listens, and what it has said until then."""
    with (
        Sandbox(port=0).running() as box,
        subprocess.Popen(
            [sys.executable, "-m", "connector", "run"],
            env=os.environ | demo.environment(box, url, port, "t" * 30) | variables,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            start_new_session=True,
        ) as running,
    ):
        try:
            said = []
            for line in running.stderr or ():
                said.append(line)
                if "listening on" in line:
                    break
            yield running, said
        finally:
            running.terminate()


def children(running: subprocess.Popen[str]) -> list[psutil.Process]:
    """The web process and the worker."""
    found = {one.cmdline()[3]: one for one in psutil.Process(running.pid).children() if len(one.cmdline()) > 3}
    return [found["serve"], found["worker"]]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_each_side_alone_refuses_everything_at_once_and_warns(command: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CONNECTOR_SALESFORCE_URLS=x\nCONNECTOR_PORT=x\n")
    done = connector(command, folder=tmp_path, CONNECTOR_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 2
    named = {"serve": ["SALESFORCE_ORGANIZATION_ID"], "worker": ["CCAIP_TOKEN", "SALESFORCE_URL"]}[command]
    for name in ("PORT", *named):
        assert f"CONNECTOR_{name}: " in done.stderr
    assert "CONNECTOR_SALESFORCE_URLS is not known" in done.stderr
    assert "did you mean CONNECTOR_SALESFORCE_URL?" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("url", ["nonsense", "postgresql://me:secret@[host/db"])
def test_an_address_of_a_database_that_is_none_is_refused_and_not_shown(url: str) -> None:
    done = connector("status", CONNECTOR_DATABASE_URL=url)
    assert done.returncode == 2
    assert "CONNECTOR_DATABASE_URL: expected postgresql://" in done.stderr
    assert "secret" not in done.stderr


def test_a_new_embedded_database_is_said_once(tmp_path: Path) -> None:
    said = f"Making an embedded database in {tmp_path}/data/postgres. For another one, set CONNECTOR_DATABASE_URL or"
    command = ("suppress", "add", "+14155550132")
    first, again = (connector(*command, CONNECTOR_DATA_DIR=str(tmp_path / "data")) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0)
    assert said in first.stderr
    assert "Making" not in again.stderr
    assert again.stderr.startswith(f"database: embedded, in {tmp_path}/data/postgres; ")


def test_a_relative_folder_keeps_the_embedded_database_to_itself(tmp_path: Path) -> None:
    """Its lock would be one for all users of the machine."""
    done = connector("migrate", folder=tmp_path, CONNECTOR_DATA_DIR="data")
    assert (done.returncode, done.stderr.count("\n")) == (0, 2), done.stderr
    assert "Making an embedded database" in done.stderr
    assert list((tmp_path / "data" / "run").rglob("*lock*"))


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first, again = (connector("migrate", CONNECTOR_DATA_DIR=str(tmp_path)) for _ in range(2))
    assert "migrated: 0001_initial\n" in first.stdout
    assert "Making an embedded database" in first.stderr
    assert again.stdout == "the schema is current\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["texts", "list", "--ticket", ""], "--ticket"),
        (["texts", "list", "--ticket="], "--ticket"),
        (["texts", "list", "--ticket", "  "], "--ticket"),
        (["backfill", "salesforce", "--where", ""], "--where"),
        (["backfill", "salesforce", "--ids", "x", "--rule="], "--rule"),
        (["suppress", "add", ""], "an argument"),
        (["keys", "add", "", "--right", "read"], "an argument"),
    ],
)
def test_an_empty_value_is_an_error(arguments: list[str], named: str) -> None:
    """A script's variable that is not set must not select everything."""
    done = connector(*arguments)
    assert done.returncode == 2
    assert f"{named}: expected a value, but it is empty" in done.stderr


@pytest.mark.parametrize("loading", ["connector.cli", "connector.cli.status"])
def test_ctrl_c_while_a_command_loads_is_one_line(loading: str) -> None:
    program = f"""
import sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == {loading!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from connector.__main__ import main
sys.argv[1:] = ["status"]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells them")
def test_what_runs_aside_ends_with_the_process_that_asked_for_it() -> None:
    asks = "import time; from connector import supervisor; supervisor.aside(time.sleep, 60)"
    with subprocess.Popen([sys.executable, "-c", asks]) as process:
        asking = psutil.Process(process.pid)
        wait_for(asking.children, "the other process runs")
        [other] = asking.children()
        time.sleep(0.2)
        process.terminate()
        process.wait(10)
    _, alive = psutil.wait_procs([other], 10)
    for one in alive:
        one.kill()
    assert alive == []
