"""The command line as a user meets it: in a process of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from connector import demo
from connector.sandbox import Sandbox
from tests.pipe import free_port


def connector(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CONNECTOR_")}
    return subprocess.run(
        [sys.executable, "-m", "connector", *arguments],
        env=clean | variables, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_demo_ends_with_the_chat_id_on_the_case_also_the_second_time(tmp_path: Path) -> None:
    for _ in range(2):
        ports = ["--port", str(free_port()), "--sandbox-port", str(free_port())]
        done = connector("demo", "--once", *ports, CONNECTOR_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        for step in ("event", "decision", "SMS request", "chat", "write-back"):
            assert f"  {step} " in done.stdout
        assert "│ Sent" in done.stdout


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


def test_run_without_settings_says_which_are_missing(tmp_path: Path) -> None:
    done = connector("run", "--port", str(free_port()), CONNECTOR_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    for name in ("SUBDOMAIN", "DOMAIN", "TOKEN", "OUTBOUND_NUMBER"):
        assert f"CONNECTOR_CCAIP_{name}" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_shows_the_mapping_and_asks_nobody_offline() -> None:
    done = connector("check", "--offline")
    assert done.returncode == 0
    assert "rule requested: when sms_status == 'Requested'" in done.stdout
    assert "once per Id, CCAIP_SMS_Requested_At__c" in done.stdout


def test_check_asks_both_sides_and_sends_nothing() -> None:
    with Sandbox(port=0).running() as box:
        settings = demo.environment(box, "postgresql:///unused", 1, "t" * 30)
        done = connector("check", **settings)
        assert done.returncode == 0, done.stdout
        assert "ok  CCAI Platform answers, takes the credentials, and sends from +16285550199" in done.stdout
        assert "ok  salesforce answers, and every field" in done.stdout
        wrong = connector("check", **settings | {"CONNECTOR_CCAIP_TOKEN": "wrong"})
        assert wrong.returncode == 1
        assert "WRONG  CCAI Platform refuses" in wrong.stdout
        assert "wrong" not in wrong.stderr
        number = connector("check", **settings | {"CONNECTOR_CCAIP_OUTBOUND_NUMBER": "+16285550198"})
        assert number.returncode == 1
        assert "WRONG  CCAI Platform refuses +16285550198: outbound_number is not found" in number.stdout
        assert box.ccaip.texts == []


def test_check_finds_fields_that_the_org_does_not_have(tmp_path: Path) -> None:
    shipped = (Path(__file__).parent.parent / "mappings" / "salesforce.toml").read_text()
    (tmp_path / "salesforce.toml").write_text(shipped.replace('"Contact.FirstName"', '"Contact.Nick__c"'))
    with Sandbox(port=0).running() as box:
        settings = demo.environment(box, "postgresql:///unused", 1, "t" * 30)
        done = connector("check", **settings, CONNECTOR_MAPPINGS=str(tmp_path))
    assert done.returncode == 1
    assert "fields.first_name: Contact has no field Nick__c" in done.stdout


def test_a_wrong_mapping_is_refused_with_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text("nonsense = 1")
    done = connector("check", "--offline", CONNECTOR_MAPPINGS=str(tmp_path))
    assert done.returncode == 2
    assert "salesforce.toml: nonsense: this key is not known" in done.stderr


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first, again = (connector("migrate", CONNECTOR_DATA_DIR=str(tmp_path)) for _ in range(2))
    assert "migrated: 0001_ledger\nmigrated: 0002_faults\n" in first.stdout
    assert again.stdout == "the schema is current\n"
