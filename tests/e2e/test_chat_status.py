"""A conversation, and what the case says of it until it ends."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, NamedTuple

import psycopg
import pytest

from connector.chat_status import Source
from connector.sandbox import Sandbox
from connector.sandbox.ccaip import conversation
from connector.sandbox.ccaip.chats import Chat
from connector.store import chats
from tests.conftest import created
from tests.support.pipe import Pipe, running, wait_for
from webhooks.ccaip.chat_events import PATH

Tell = Callable[[Pipe, Chat], None]


class Told(NamedTuple):
    """How the connector learns of what happens in a chat: a pipe, and how it is told. `ended`: its word for any end."""

    pipe: Pipe
    tell: Tell
    ended: str | None = None


def by_itself(pipe: Pipe, chat: Chat) -> None:
    """The connector reads the list, or the sandbox posts a webhook."""


def by_observation(pipe: Pipe, chat: Chat) -> None:
    """The worker of the chat webhooks calls `observe`."""
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        at = chat.updated_at.astimezone(UTC)
        chats.observe(connection, str(chat.id), chat.status, at, Source.WEBHOOK.value, not chat.is_active)


@pytest.fixture(scope="module")
def listing(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe that reads the list."""
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_listing", template) as url,
        running(box, url, tmp_path_factory.mktemp("listing"), chat_poll_seconds="1") as pipe,
    ):
        yield pipe


@pytest.fixture
def webhooks(pipe: Pipe) -> Iterator[None]:
    """The shared pipe's sandbox tells its chats by webhook during the test."""
    pipe.box.switches.update({"chat_webhook_url": f"{pipe.web}{PATH}"})
    yield
    pipe.box.ccaip.webhooks.wait()
    pipe.box.switches.update({"chat_webhook_url": ""})


SOURCES: dict[str, Callable[[Callable[[str], Any]], Told]] = {
    "list": lambda fixture: Told(fixture("listing"), by_itself),
    "observe": lambda fixture: Told(fixture("pipe"), by_observation),
    "webhooks": lambda fixture: Told(fixture("pipe"), by_itself, ended=fixture("webhooks") or "ended"),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> Told:
    return SOURCES[request.param](request.getfixturevalue)


@pytest.fixture
def case(source: Told) -> Iterator[str]:
    box = source.pipe.box
    yield box.salesforce.make_cases(1)[0]
    box.faults.clear()


def texted(pipe: Pipe, case: str, texts: int = 1) -> Chat:
    """The case asks for a text, and has told of it: its chat."""
    pipe.box.salesforce.request_text(case)
    pipe.told(case, texts)
    return pipe.box.ccaip.chats[[text.chat_id for text in pipe.box.ccaip.texts if text.ticket_id == case][-1]]


def says(pipe: Pipe, case: str, status: str) -> None:
    field = "CCAIP_Chat_Status__c"
    wait_for(
        lambda: pipe.box.salesforce.case(case)[field] == status,
        f"the case says {status}; it says {pipe.box.salesforce.case(case)[field]}",
    )


def test_the_case_follows_a_whole_conversation(source: Told, case: str) -> None:
    pipe, tell, ended = source
    chat = texted(pipe, case)
    says(pipe, case, "selecting")

    tell(pipe, conversation.join(pipe.box.ccaip, chat.id))
    says(pipe, case, "assigned")
    pipe.box.ccaip.reply(chat.end_user_number, "Thank you")
    tell(pipe, conversation.write(pipe.box.ccaip, chat.id, "You are welcome"))
    tell(pipe, conversation.end(pipe.box.ccaip, chat.id))
    says(pipe, case, ended or "finished")

    after = pipe.box.salesforce.case(case)
    assert (after["CCAIP_SMS_Status__c"], after["CCAIP_Chat_Id__c"]) == ("Sent", str(chat.id))
    assert len(pipe.texts(case)) == 1, "no status has asked for another text"
    [shown] = pipe.api("GET", f"/tickets/salesforce/{case}/texts").json()["texts"]
    assert (shown["chat_status"], shown["chat_ended"]) == (ended or "finished", True)
    assert shown["said"] == f"Sent. Chat {chat.id} is {ended or 'finished'}."


def test_a_crm_that_is_down_for_a_while_gets_the_final_status(source: Told, case: str) -> None:
    pipe, tell, ended = source
    chat = texted(pipe, case)
    down = pipe.box.faults.add("status", side="salesforce", route="update_many", status=503, times=1000, match=case)

    tell(pipe, conversation.join(pipe.box.ccaip, chat.id))
    wait_for(lambda: down.times < 1000, "the org was asked")
    tell(pipe, conversation.end(pipe.box.ccaip, chat.id, "no_response"))
    assert pipe.box.salesforce.case(case)["CCAIP_Chat_Status__c"] == "selecting"
    pipe.box.faults.clear()

    says(pipe, case, ended or "no_response")


def test_the_newest_text_of_a_case_is_the_one_that_it_speaks_of(source: Told, case: str) -> None:
    pipe, tell, _ = source
    first = texted(pipe, case)
    conversation.end(pipe.box.ccaip, first.id)
    second = texted(pipe, case, 2)

    tell(pipe, first)
    tell(pipe, conversation.join(pipe.box.ccaip, second.id))
    says(pipe, case, "assigned")

    assert pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"] == str(second.id)
    due = "select from chat_updates c join texts on texts.id = c.text where c.due_at is not null and ticket_id = %s"
    wait_for(lambda: not pipe.query(due, case), "nothing is left to write")
    assert pipe.box.salesforce.case(case)["CCAIP_Chat_Status__c"] == "assigned"


def test_the_list_is_asked_once_a_second_at_most(listing: Pipe) -> None:
    calls = [call.monotonic for call in listing.box.ccaip.requests if call.route == "list_chats"]
    assert all(later - earlier > 0.95 for earlier, later in itertools.pairwise(calls))
