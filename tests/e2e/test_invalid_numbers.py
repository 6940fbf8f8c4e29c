"""A number that cannot be texted is flagged on the ticket, and the flag is taken off by a text that was sent."""

from collections.abc import Iterator

import pytest

from connector import settings
from connector.sandbox import Sandbox
from connector.sandbox.crms.salesforce import schema
from tests.conftest import created
from tests.fixtures import salesforce
from tests.support.pipe import Pipe, running, wait_for

# The case's description stands for a field of its own.
FLAG = 'Description = "{{ phone.problem }}"'


@pytest.fixture(scope="module")
def pipe(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    shipped = settings.load(_env_file=None).mappings_dir / "salesforce.toml"
    text = shipped.read_text(encoding="utf-8")
    for state in ("sent", "failed", "skipped"):
        text = text.replace(f"[write_back.{state}]\n", f"[write_back.{state}]\n{FLAG}\n")
    folder = tmp_path_factory.mktemp("mappings")
    (folder / "salesforce.toml").write_text(text, encoding="utf-8")
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_invalid_numbers", template) as url,
        running(box, url, tmp_path_factory.mktemp("logs"), mappings=str(folder), busy_seconds="0") as started,
    ):
        yield started


def flag(pipe: Pipe, case: str) -> str | None:
    described: str | None = pipe.box.salesforce.case(case)["Description"]
    return described


def test_a_number_that_the_platform_calls_invalid_is_flagged_until_a_text_is_sent(pipe: Pipe, case: str) -> None:
    pipe.box.faults.add("status", side="ccaip", status=400, body={"message": "end_user_number is invalid"})
    assert pipe.send(case).json()["state"] == "failed"
    pipe.told(case)
    assert "end_user_number is invalid" in (flag(pipe, case) or "")
    wait_for(lambda: salesforce.phone_invalid(pipe.box, case), "the contact is marked")

    assert pipe.send(case).json()["state"] == "sent"
    pipe.told(case, 2)
    wait_for(lambda: flag(pipe, case) is None, "the flag is taken off")
    wait_for(lambda: not salesforce.phone_invalid(pipe.box, case), "the contact's mark is taken off")


def test_a_corrected_number_that_is_texted_for_a_new_case_clears_the_contacts_mark(pipe: Pipe, case: str) -> None:
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "1-800-356-9377"})
    pipe.send(case)
    wait_for(lambda: salesforce.phone_invalid(pipe.box, case), "the contact is marked")
    contact = pipe.box.salesforce.case(case)["ContactId"]
    org = pipe.box.salesforce
    org.store.update(schema.OBJECTS["Contact"], contact, {"MobilePhone": "(415) 555-0144"}, org.human_user_id)
    [newer] = pipe.box.salesforce.make_cases(1)
    org.edit(newer, {"ContactId": contact})

    assert pipe.send(newer).json()["state"] == "sent"

    wait_for(lambda: not salesforce.phone_invalid(pipe.box, case), "the contact's mark is taken off")


def test_a_ticket_without_a_usable_phone_is_flagged(pipe: Pipe, case: str) -> None:
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "1-800-356-9377"})
    pipe.send(case)
    pipe.told(case)
    assert "no usable phone: Contact.MobilePhone is a toll-free number" in (flag(pipe, case) or "")


@pytest.mark.parametrize("words", ["message is required", "Non-US phone number not allowed"])
def test_another_refusal_flags_no_number(pipe: Pipe, case: str, words: str) -> None:
    pipe.box.faults.add("status", side="ccaip", status=400, body={"message": words})
    assert pipe.send(case).json()["state"] == "failed"
    pipe.told(case)
    assert flag(pipe, case) is None
