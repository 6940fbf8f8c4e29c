"""Decide again, and try a mapping, at the command line: beside a running connector, with texts that it has sent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connector.cli import demo
from connector.sandbox.crms.salesforce import schema
from tests.support.command import connector
from tests.support.pipe import Pipe

SHIPPED = (Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml").read_text()
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(pipe: Pipe) -> Run:
    """Runs a command with the settings of the running connector."""

    def run(*arguments: str) -> tuple[int, str, str]:
        settings = demo.environment(pipe.box, pipe.url, 8080, pipe.token)
        done = connector(*arguments, **settings)
        assert "Traceback" not in done.stderr
        said = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith("database: "))
        return done.returncode, done.stdout, said

    return run


@pytest.fixture
def sent(pipe: Pipe, case: str) -> dict[str, Any]:
    """A text that a trigger asked for and that was sent: its case says so."""
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    assert text["state"] == "sent"
    return text


@pytest.fixture
def draft(tmp_path: Path) -> Callable[[str, str], str]:
    """The shipped mapping with one place changed; its path."""

    def write(old: str, new: str) -> str:
        assert SHIPPED.count(old) == 1
        path = tmp_path / "draft.toml"
        path.write_text(SHIPPED.replace(old, new))
        return str(path)

    return write


WORDS = "there is news on your case {{ case_number }}"
OTHER_WORDS = "your case {{ case_number }} has news"


def test_a_text_is_decided_again_as_it_was(run: Run, sent: dict[str, Any]) -> None:
    code, out, _ = run("texts", "decide-again", str(sent["id"]))

    assert code == 0
    assert out.splitlines()[0].endswith("(trigger) is sent. Nothing was changed.")
    assert out.endswith("Nothing differs.\n")


def test_what_differs_today_is_named(run: Run, pipe: Pipe, case: str, sent: dict[str, Any]) -> None:
    org = pipe.box.salesforce
    changes = {"CCAIP_SMS_Opt_Out__c": True, "FirstName": "Grace"}
    org.store.update(schema.OBJECTS["Contact"], org.case(case)["ContactId"], changes, org.own_user_id)

    code, out, _ = run("texts", "decide-again", str(sent["id"]), "--json")

    assert code == 0
    said = json.loads(out)
    assert [one["part"] for one in said["differences"]] == ["result", "message", "opt_out"]
    assert said["differences"][2]["now"] == "stop: the customer has opted out, as the ticket says"
    assert (said["then"]["result"], said["now"]["result"]) == ("send", "skip")
    assert "Grace" not in out
    assert pipe.texts(case)[0]["revision"] == sent["revision"], "nothing is changed"
    shown = run("texts", "decide-again", str(sent["id"]))[1]
    assert "  Opt-out\n    then  ok: not opted out" in shown


def test_a_text_that_does_not_exist_is_not_decided(run: Run) -> None:
    assert run("texts", "decide-again", "999999") == (1, "", "Text 999999: there is no text 999999.\n")


def test_a_draft_is_tried_on_a_ticket(
    run: Run, pipe: Pipe, case: str, sent: dict[str, Any], draft: Callable[[str, str], str]
) -> None:
    """The case says Sent since, and is tried as it was when its text was asked for."""
    before = pipe.box.salesforce.case(case)
    path = draft(WORDS, OTHER_WORDS)

    code, out, err = run("try-mapping", path, "--ticket", case)

    assert (code, err) == (0, "")
    assert "       1  worded differently (rule requested)" in out
    assert f"{case}, text {sent['id']} (trigger)\n  Message\n    in use  " in out
    assert "news" not in out
    with_messages = run("try-mapping", path, "--ticket", case, "--messages", "--json")[1]
    [group] = json.loads(with_messages)["groups"]
    [difference] = group["texts"][0]["differences"]
    assert "has news" in difference["draft"]
    assert pipe.box.salesforce.case(case) == before
    assert len(pipe.texts(case)) == 1


def test_the_same_mapping_differs_in_nothing_on_the_newest_events(
    run: Run, sent: dict[str, Any], draft: Callable[[str, str], str]
) -> None:
    code, out, _ = run("try-mapping", draft("days_off = []", "days_off = [ ]"), "--events", "1")

    assert code == 0
    assert out.splitlines()[0].startswith("1 text tried at ")
    assert out.splitlines()[1:] == ["       1  the same by both"]


def test_a_draft_with_faults_is_refused_with_its_lines(run: Run, draft: Callable[[str, str], str]) -> None:
    path = draft("\"status == 'Closed'\"", "\"stattus == 'Closed'\"")

    code, out, err = run("try-mapping", path)

    assert (code, out) == (2, "")
    assert f"{path}, line " in err
    assert "stattus" in err


def test_a_field_that_the_org_lacks_is_told(run: Run, case: str, draft: Callable[[str, str], str]) -> None:
    code, out, err = run("try-mapping", draft('"SuppliedPhone"', '"Nonsense__c"'), "--ticket", case)

    assert (code, out) == (1, "")
    assert "salesforce cannot be asked" in err
    assert "Nonsense__c" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["/nowhere.toml"], "cannot be read"),
        (["SHIPPED", "--ticket", "17"], "--ticket"),
        (["SHIPPED", "--crm", "nosuch"], "--crm"),
        (["SHIPPED", "--events", "1001"], "--events"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    run: Run, draft: Callable[[str, str], str], arguments: list[str], named: str
) -> None:
    path = draft(WORDS, OTHER_WORDS)

    code, _, err = run("try-mapping", *(path if one == "SHIPPED" else one for one in arguments))

    assert code == 2
    assert named in err
