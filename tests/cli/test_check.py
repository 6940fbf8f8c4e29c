"""`connector check` as a user meets it: it finds what `run` would refuse, warns of the rest, and asks both sides."""

import contextlib
import os
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from connector import settings
from connector.cli import check, demo
from connector.sandbox import Sandbox
from tests.support.command import connector

SHIPPED = Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml"
DOCS = Path(__file__).parent.parent.parent / "docs"
FOLDER = "expected a folder that holds mapping files"
# Enough for a connector to start.
COMPLETE = {
    "CONNECTOR_CCAIP_SUBDOMAIN": "customer",
    "CONNECTOR_CCAIP_DOMAIN": "uc1.ccaiplatform.com",
    "CONNECTOR_CCAIP_TOKEN": "a-token",
    "CONNECTOR_CCAIP_OUTBOUND_NUMBER": "+16285550199",
    "CONNECTOR_SALESFORCE_URL": "https://org.my.salesforce.com",
    "CONNECTOR_SALESFORCE_CLIENT_ID": "id",
    "CONNECTOR_SALESFORCE_CLIENT_SECRET": "a-secret",
    "CONNECTOR_SALESFORCE_ORGANIZATION_ID": "00D6x0000008abcEAA",
    "CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS": "t" * 24,
}


def offline(folder: Path | str | None = None, **variables: str) -> tuple[int, list[str]]:
    """The status, and what was said of settings and files. In this process: there are many of them."""
    clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CONNECTOR_")}
    with contextlib.chdir(folder or Path.cwd()):
        done = CliRunner().invoke(check.check, ["--offline"], env=clean | variables)
    return done.exit_code, [line for line in done.output.splitlines() if line.startswith(("WRONG", "warning", "ok"))]


def test_it_shows_the_mapping_and_asks_nobody_offline() -> None:
    done = connector("check", "--offline", **COMPLETE)
    assert done.returncode == 0
    assert "rule requested: when sms_status == 'Requested'" in done.stdout
    assert "once per Id, CCAIP_SMS_Requested_At__c" in done.stdout
    assert done.stdout.endswith("\nok  settings and mapping files are complete\n")


def test_the_docs_settings_for_the_sandbox_are_those_of_the_demo(tmp_path: Path) -> None:
    shown = (DOCS / "sandbox.md").read_text().partition("<<END\n")[2].partition("END\n")[0]
    told = dict(line.split("=", 1) for line in shown.splitlines())
    assert told.pop("CONNECTOR_DATA_DIR") == "data"
    assert told == {
        name: value
        for name, value in demo.environment(Sandbox(port=8787), "", 8080, "$token").items()
        if name not in ("CONNECTOR_DATABASE_URL", "CONNECTOR_HOST", "CONNECTOR_PORT")
    }
    (tmp_path / ".env").write_text(shown.replace("$token", "t" * 24))
    (tmp_path / ".env").chmod(0o600)
    assert offline(tmp_path) == (0, ["ok  settings and mapping files are complete"])


def test_where_nothing_is_set_up_everything_is_named_at_once(tmp_path: Path) -> None:
    done = connector("check", folder=tmp_path, CONNECTOR_DATA_DIR=str(tmp_path / "data"))
    assert (done.returncode, done.stderr) == (1, "")
    missing = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("WRONG  CONNECTOR_")]
    assert sorted(missing) == sorted(f"{name}:" for name in COMPLETE)
    assert "CCAI Platform is not asked" in done.stdout
    assert not (tmp_path / "data").exists(), "looking makes no database"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS": ""}, ["SALESFORCE_OUTBOUND_MESSAGE_TOKENS"]),
        ({"CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS": "short"}, ["SALESFORCE_OUTBOUND_MESSAGE_TOKENS"]),
        ({"CONNECTOR_SALESFORCE_WEBHOOK_KEYS": "short"}, ["SALESFORCE_WEBHOOK_KEYS"]),
        ({"CONNECTOR_SALESFORCE_WEBHOOK_SECRETS": "whsec_" + "?" * 24}, ["SALESFORCE_WEBHOOK_SECRETS"]),
        ({"CONNECTOR_SALESFORCE_ORGANIZATION_ID": "00D"}, ["SALESFORCE_ORGANIZATION_ID"]),
        ({"CONNECTOR_SALESFORCE_CANVAS_SECRETS": "c" * 24}, ["FRAME_ANCESTORS"]),
        ({"CONNECTOR_SALESFORCE_CANVAS_SECRETS": "short"}, ["SALESFORCE_CANVAS_SECRETS"]),
        ({"CONNECTOR_SALESFORCE_API_CERTIFICATES": "/nowhere"}, ["SALESFORCE_API_ISSUER", "SALESFORCE_API_AUDIENCE"]),
        ({"CONNECTOR_DATABASE_URL": "nonsense"}, ["DATABASE_URL"]),
        ({"CONNECTOR_DATA_DIR": "/dev/null/data"}, ["DATA_DIR"]),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_it_finds_what_run_would_refuse(variables: dict[str, str], named: list[str]) -> None:
    status, said = offline(**COMPLETE | variables)
    assert status == 1
    assert [line.split(":")[0] for line in said] == [f"WRONG  CONNECTOR_{name}" for name in named]


def test_run_names_the_same_at_once() -> None:
    wrong = {
        "CONNECTOR_PORT": "x",
        "CONNECTOR_CCAIP_SUBDOMAIN": "a.b",
        "CONNECTOR_CCAIP_TOKEN": "",
        "CONNECTOR_SALESFORCE_URL": "x",
        "CONNECTOR_SALESFORCE_WEBHOOK_KEYS": "short",
    }
    status, said = offline(**COMPLETE | wrong)
    assert (status, [line.split()[1] for line in said]) == (1, [f"{name}:" for name in wrong])
    run = connector("run", **COMPLETE | wrong)
    assert (run.returncode, [name for name in wrong if f"{name}: " not in run.stderr]) == (2, [])


def test_it_warns_of_misspelt_variables_and_of_an_open_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("CONNECTOR_BATCH_SHAER=0.5\nOTHER=1\nCONNECTOR_SALESFORCE_WEBHOOK_KEY=x\nCONNECTOR_EMPTY=\n")
    file.chmod(0o640)
    more = {"CONNECTOR_NOTHING_LIKE_IT": "1", "CONNECTOR_TEST_SEED": "1"}
    assert offline(tmp_path, **COMPLETE | more) == (
        0,
        [
            "warning  CONNECTOR_BATCH_SHAER is not known and has no effect; did you mean CONNECTOR_BATCH_SHARE?",
            "warning  CONNECTOR_NOTHING_LIKE_IT is not known and has no effect",
            "warning  CONNECTOR_SALESFORCE_WEBHOOK_KEY is not known and has no effect; did you mean "
            "CONNECTOR_SALESFORCE_WEBHOOK_KEYS?",
            "warning  .env is open to others than its owner: chmod 600 .env",
            "ok  settings and mapping files are complete",
        ],
    )
    file.write_text("CONNECTOR_BATCH_SHARE=0.5\n")
    file.chmod(0o600)
    assert offline(tmp_path, **COMPLETE) == (0, ["ok  settings and mapping files are complete"])


def test_it_asks_both_sides_and_sends_nothing(url: str) -> None:
    with Sandbox(port=0).running() as box:
        settings = demo.environment(box, url, 1, "t" * 30)
        done = connector("check", **settings)
        assert done.returncode == 0, done.stdout
        assert "ok  CCAI Platform answers, takes the credentials, and sends from +16285550199" in done.stdout
        assert "ok  CCAI Platform's list of chats can be read" in done.stdout
        assert "ok  salesforce answers, and every field" in done.stdout
        assert "ok  the database answers, and its schema is current" in done.stdout
        box.faults.add("status", side="ccaip", route="list_chats", status=403)
        unlisted = connector("check", **settings)
        assert unlisted.returncode == 0
        assert "warning  CCAI Platform's list of chats answered 403: tickets follow" in unlisted.stdout
        wrong = connector("check", **settings | {"CONNECTOR_CCAIP_TOKEN": "wrong"})
        assert wrong.returncode == 1
        assert "WRONG  CCAI Platform refuses" in wrong.stdout
        assert "wrong" not in wrong.stderr
        number = connector("check", **settings | {"CONNECTOR_CCAIP_OUTBOUND_NUMBER": "+16285550198"})
        assert number.returncode == 1
        assert "WRONG  CCAI Platform refuses +16285550198: outbound_number is not found" in number.stdout
        assert box.ccaip.texts == []


def test_it_finds_a_database_that_is_away_or_not_current(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("delete from migrations where name = '0001_initial'")
    for address, words in (
        (url, "the database's schema is not current; bring it up to date with: connector migrate"),
        ("postgresql://nobody@127.0.0.1:1/none", "the database does not answer: "),
        ("nonsense", "CONNECTOR_DATABASE_URL: expected postgresql://"),
    ):
        done = connector("check", CONNECTOR_DATABASE_URL=address)
        assert done.returncode == 1
        assert f"WRONG  {words}" in done.stdout
    (tmp_path / "file").touch()
    done = connector("check", CONNECTOR_DATA_DIR=str(tmp_path / "file"))
    assert f"WRONG  CONNECTOR_DATA_DIR: {tmp_path}/file cannot be used" in done.stdout


def test_it_finds_fields_that_the_org_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text(SHIPPED.read_text().replace('"Contact.FirstName"', '"Contact.Nick__c"'))
    with Sandbox(port=0).running() as box:
        settings = demo.environment(box, "postgresql:///unused", 1, "t" * 30)
        done = connector("check", **settings, CONNECTOR_MAPPINGS=str(tmp_path))
    assert done.returncode == 1
    assert "fields.first_name: Contact has no field Nick__c" in done.stdout


def test_a_wrong_mapping_is_told_with_file_and_key_and_what_else_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text("nonsense = 1")
    status, said = offline(**COMPLETE | {"CONNECTOR_MAPPINGS": str(tmp_path), "CONNECTOR_CCAIP_TOKEN": ""})
    assert status == 1
    assert any("salesforce.toml, line 1: nonsense: this key is not known" in line for line in said), said
    assert any("CONNECTOR_CCAIP_TOKEN: " in line for line in said)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("salesforce.toml", f"{FOLDER}, but {{}}/salesforce.toml is a file: name the folder that it is in"),
        ("nowhere", f"{FOLDER}, but there is no {{}}/nowhere"),
        ("empty", "{}/empty holds no mapping file; expected salesforce.toml"),
        ("strange", "no CRM is called acme; a mapping file has its CRM's name: salesforce.toml"),
    ],
)
def test_a_folder_of_mappings_that_is_none_is_told_with_what_is_expected(
    tmp_path: Path, place: str, words: str
) -> None:
    (tmp_path / "salesforce.toml").touch()
    for name in ("empty", "strange"):
        (tmp_path / name).mkdir()
    (tmp_path / "strange" / "acme.toml").touch()
    status, said = offline(**COMPLETE | {"CONNECTOR_MAPPINGS": str(tmp_path / place)})
    assert (status, len(said)) == (1, 1)
    assert said[0].startswith(f"WRONG  CONNECTOR_MAPPINGS: {words.format(tmp_path)}")


SIGN_IN = {
    "CONNECTOR_PUBLIC_URL": "https://texts.example",
    "CONNECTOR_OIDC_CLIENT_ID": "sandbox-console",
    "CONNECTOR_OIDC_CLIENT_SECRET": "sandbox-console-secret",
    "CONNECTOR_OIDC_ROLES": "support=view; ops=view,act",
}


def test_sign_in_settings_are_checked_with_the_rest(tmp_path: Path) -> None:
    complete = COMPLETE | SIGN_IN | {"CONNECTOR_OIDC_ISSUER": "https://id.example"}

    assert offline(tmp_path, **complete)[0] == 0
    status, lines = offline(tmp_path, **complete | {"CONNECTOR_PUBLIC_URL": "", "CONNECTOR_OIDC_ROLES": ""})
    assert status == 1
    assert [line.split()[1] for line in lines] == ["CONNECTOR_OIDC_ROLES:", "CONNECTOR_PUBLIC_URL:"]
    status, lines = offline(tmp_path, **complete | {"CONNECTOR_OIDC_ROLE": "support=view"})
    assert any("did you mean CONNECTOR_OIDC_ROLES?" in line for line in lines)


def test_the_identity_provider_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(port=0).running() as box:
        for name, value in (SIGN_IN | {"CONNECTOR_OIDC_ISSUER": f"{box.url}/oidc"}).items():
            monkeypatch.setenv(name, value)

        [fine] = check._identity_provider(settings.load())
        box.oidc.settings.oidc_fault = "wrong_metadata"
        [wrong] = check._identity_provider(settings.load())

    register = "register https://texts.example/console/sign-in/oidc/callback there"
    assert fine == (f"the identity provider answers, and its metadata fit; {register}", check.Mark.FINE)
    assert wrong[1] is check.Mark.WRONG
    assert "it calls itself https://other.example/oidc" in wrong[0]
    monkeypatch.setenv("CONNECTOR_OIDC_ISSUER", "")
    assert [line[1] for line in check._identity_provider(settings.load())] == [check.Mark.NEITHER]


def test_the_docs_sign_in_settings_are_those_of_the_demo() -> None:
    shown = (DOCS / "sandbox.md").read_text().partition("These settings connect the console to it:\n\n```sh\n")[2]
    lines = shown.partition("```")[0].splitlines()

    told = {name: value.strip('"') for name, value in (line.split("=", 1) for line in lines)}
    assert told == demo.sign_in(Sandbox(port=8787), 8080)
