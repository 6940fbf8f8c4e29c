"""Secrets from files: every secret setting is also …_FILE."""

from pathlib import Path
from typing import Any

import pytest

from connector import environment, settings
from connector.crms.salesforce import settings as salesforce
from connector.errors import BadSettings
from tests.cli.test_check import COMPLETE, offline
from tests.support.command import connector
from tests.unit.test_settings import SECRETS, empty  # noqa: F401 - a fixture that takes effect by its name

SECRET = "a-secret-of-more-than-24-characters"
# The secrets of a form of their own.
CONTENT = {
    "CONNECTOR_SALESFORCE_WEBHOOK_SECRETS": "whsec_" + "A" * 32,
    "CONNECTOR_HTTPS_PROXY": "http://user:a-password@proxy.example:3128",
}
# What each kind of settings needs beside its secrets.
REST = {
    "CONNECTOR_SALESFORCE_URL": "https://org.my.salesforce.com",
    "CONNECTOR_SALESFORCE_CLIENT_ID": "id",
    "CONNECTOR_SALESFORCE_USERNAME": "me@example.com",
    "CONNECTOR_SALESFORCE_ORGANIZATION_ID": "00D6x0000008abcEAA",
}


@pytest.fixture(autouse=True)
def rest(empty: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for name, value in REST.items():
        monkeypatch.setenv(name, value)


def value(secret: str) -> Any:
    """What the settings have for this variable."""
    for kind in environment.kinds():
        name = secret.removeprefix(environment.prefix(kind)).lower()
        if name in kind.model_fields:
            found = getattr(settings.load(kind), name)
            return found[0].get_secret_value() if isinstance(found, list) else found.get_secret_value()
    raise AssertionError(secret)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_secret_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: str, end: str) -> None:
    content = CONTENT.get(secret, SECRET)
    (tmp_path / "a secret").write_bytes(f"{content}{end}".encode())
    monkeypatch.setenv(f"{secret}_FILE", str(tmp_path / "a secret"))
    assert value(secret).rstrip("\n") == content
    assert environment.unknown() == []


def test_the_file_may_be_named_in_the_env_file_and_has_several_keys_in_lines(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{SECRET}-1\n{SECRET}-2\n")
    (tmp_path / ".env").write_text("CONNECTOR_SALESFORCE_WEBHOOK_KEYS_FILE=keys\n")
    found = settings.load(salesforce.Hooks).webhook_keys
    assert [one.get_secret_value() for one in found] == [f"{SECRET}-1", f"{SECRET}-2"]


def test_a_key_in_lines_comes_whole_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    (tmp_path / "key.pem").write_bytes(b"\xef\xbb\xbf" + key.replace("\n", "\r\n").encode())
    monkeypatch.setenv("CONNECTOR_SALESFORCE_JWT_KEY_FILE", "key.pem")
    found = salesforce.load().jwt_key
    assert found
    assert found.get_secret_value() == key


@pytest.mark.parametrize("secret", SECRETS)
def test_a_file_that_is_missing_is_told_with_its_setting(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv(f"{secret}_FILE", "nowhere")
    with pytest.raises(BadSettings) as caught:
        value(secret)
    [line] = str(caught.value).splitlines()
    assert line == f"{secret}: {secret}_FILE names nowhere, which cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "which is empty"),
        (b"\n", "which is empty"),
        (b" \r\n\r\n", "which is empty"),
        (b"caf\xe9", "which holds no text in UTF-8"),
        ("secret".encode("utf-16"), "which holds no text in UTF-8"),
        (b"a\0b", "which is no file of a secret"),
        (b"a" * 200_000, "which is no file of a secret"),
    ],
    ids=repr,
)
def test_a_file_that_holds_no_secret_is_refused_without_its_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, words: str
) -> None:
    monkeypatch.setenv("CONNECTOR_CCAIP_TOKEN_FILE", "file")
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadSettings) as caught:
        settings.load()
    assert str(caught.value) == f"CONNECTOR_CCAIP_TOKEN: CONNECTOR_CCAIP_TOKEN_FILE names file, {words}"


def test_a_folder_in_place_of_a_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONNECTOR_CCAIP_TOKEN_FILE", str(tmp_path))
    with pytest.raises(BadSettings, match=r"which is no file$"):
        settings.load()


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_secret_that_is_set_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text(SECRET)
    both = {"CONNECTOR_CCAIP_TOKEN": "other-secret", "CONNECTOR_CCAIP_TOKEN_FILE": "file"}
    if where == ".env":
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in both.items()))
    for name, given in both.items() if where == "environment" else ():
        monkeypatch.setenv(name, given)
    with pytest.raises(BadSettings) as caught:
        settings.load()
    assert str(caught.value) == (
        "CONNECTOR_CCAIP_TOKEN: is set twice, by itself and by CONNECTOR_CCAIP_TOKEN_FILE: remove one of the two"
    )


def test_the_environment_wins_over_the_env_file_whichever_has_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("from the file")
    (tmp_path / ".env").write_text("CONNECTOR_CCAIP_TOKEN_FILE=nowhere\nCONNECTOR_DATABASE_URL=of-env-file\n")
    monkeypatch.setenv("CONNECTOR_CCAIP_TOKEN", SECRET)
    monkeypatch.setenv("CONNECTOR_DATABASE_URL_FILE", "file")
    assert value("CONNECTOR_CCAIP_TOKEN") == SECRET
    assert value("CONNECTOR_DATABASE_URL") == "from the file"


def test_check_takes_files_and_warns_of_those_that_everybody_can_read(tmp_path: Path) -> None:
    told = {name: value for name, value in COMPLETE.items() if name != "CONNECTOR_CCAIP_TOKEN"}
    (tmp_path / "token").write_text(SECRET)
    for mode, warnings in ((0o640, 0), (0o604, 1)):
        (tmp_path / "token").chmod(mode)
        status, said = offline(tmp_path, **told, CONNECTOR_CCAIP_TOKEN_FILE="token")
        assert (status, said[-1]) == (0, "ok  settings and mapping files are complete")
        assert said[:-1] == warnings * [
            "warning  CONNECTOR_CCAIP_TOKEN_FILE names token, which everybody can read: chmod o= token"
        ]


def test_check_finds_a_missing_file_and_nothing_that_follows_from_it(tmp_path: Path) -> None:
    told = {name: value for name, value in COMPLETE.items() if not name.endswith(("_TOKEN", "_SECRET"))}
    files = {"CONNECTOR_CCAIP_TOKEN_FILE": "nowhere", "CONNECTOR_SALESFORCE_CLIENT_SECRET_FILE": "nowhere"}
    status, said = offline(tmp_path, **told, **files)
    assert status == 1
    assert [line.split()[1] for line in said] == ["CONNECTOR_CCAIP_TOKEN:", "CONNECTOR_SALESFORCE_CLIENT_SECRET:"]


def test_the_children_of_run_keep_the_database_that_run_has_found(url: str, tmp_path: Path) -> None:
    """It hands them the address itself, beside the variable that names the file."""
    from tests.cli.test_cli import run
    from tests.support.pipe import free_port

    (tmp_path / "database").write_text(f"{url}\n")
    port = free_port()
    with run("", tmp_path, port, CONNECTOR_DATABASE_URL_FILE=str(tmp_path / "database")) as (_, said):
        assert f"listening on http://127.0.0.1:{port}" in said[-1], said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("CONNECTOR_HOST=café\n".encode("latin-1"), "expected text in UTF-8"),
        ("CONNECTOR_PORT=1\n".encode("utf-16"), "expected text in UTF-8"),
    ],
    ids=["Latin-1", "UTF-16"],
)
def test_an_env_file_in_another_encoding_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    for command in (["status"], ["check", "--offline"], ["run"]):
        done = connector(*command, folder=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert f".env: {words}" in done.stderr


def test_an_env_file_with_a_byte_order_mark_is_read_from_its_first_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfCONNECTOR_PORT=8123\n")
    assert settings.load().port == 8123
