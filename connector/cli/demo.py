"""The demo: one text from event to write-back, with the sandbox as CCAI Platform and Salesforce."""

import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from connector import phone, supervisor
from connector.sandbox import Sandbox
from connector.settings import Settings, load
from connector.store import api_keys, migrations, postgres, text_views
from connector.store.api_keys import Right
from connector.store.text_views import TextStory

Found = TypeVar("Found")

PORT = 8080
STEP_SECONDS = 30.0
POLL_SECONDS = 0.05
KEY, CONSOLE_KEY = "the demo's sandbox", "the demo's console"
# The rights of the console: everything.
CONSOLE = [Right.VIEW, Right.ACT, Right.CONTENT, Right.KEYS]
# The case fields that the demo shows: the flow's request and the connector's write-back.
FIELDS = {
    "CCAIP_SMS_Status__c": "SMS status",
    "CCAIP_Chat_Id__c": "Chat id",
    "CCAIP_Chat_Status__c": "Chat status",
    "CCAIP_SMS_Error__c": "SMS error",
}


class DidNotHappen(Exception):
    """A step of the demo did not finish in time."""


@click.command()
@click.option("--once", is_flag=True, help="End after one text; exit status 0 only if the case carries its chat id.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="The web process's port.")
@click.option(
    "--sandbox-port", type=click.IntRange(1, 65535), default=8787, show_default=True, help="The sandbox's port."
)
def demo(once: bool, port: int, sandbox_port: int) -> None:
    """Show one text from end to end, on this machine: a case asks for it, it is sent, the case gets its chat id.

    On a terminal, it then runs until Ctrl-C, with pages to try more. Each demo begins with an empty database of its
    own; `CONNECTOR_DATABASE_URL` is not used.
    """
    stay = not once and sys.stdout.isatty()
    status = run(load(), port, sandbox_port, stay)
    if not once and not stay:
        click.echo("The demo ended here, because its output is not a terminal. On a terminal it stays.", err=True)
    sys.exit(status)


def run(settings: Settings, port: int, sandbox_port: int, stay: bool) -> int:
    """Show one text from event to write-back. `stay`: keep running until Ctrl-C. Return the exit status."""
    supervisor.require_free("127.0.0.1", port, "--port")
    supervisor.require_free("127.0.0.1", sandbox_port, "--sandbox-port")
    console = Console(highlight=False, soft_wrap=True)
    folder = settings.data_dir / ("demo" if port == PORT else f"demo-{port}")  # two demos at once share nothing
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    web = f"http://127.0.0.1:{port}"
    hook = f"{web}/webhooks/salesforce/outbound-messages/{token}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"database: embedded, in {folder / 'postgres'}; Salesforce org and CCAI Platform tenant: the sandbox's"
    )
    console.print("Starting PostgreSQL, the sandbox, the web process and a worker …")
    with (
        _new_database(settings.model_copy(update={"data_dir": folder, "database_url": None})) as url,
        Sandbox(
            port=sandbox_port,
            outbound_message_url=hook,
            agents_url=web,
            agents_key=_key(url, KEY, [Right.SEND]),
            switches={"chat_webhook_url": f"{web}/webhooks/ccaip/chat-events"},
        ).running() as box,
    ):
        connected = environment(box, url, port, token) | sign_in(box, port)
        with supervisor.children(["serve", "worker"], connected, logs=folder) as started:
            try:
                _wait("the web process answers", lambda: supervisor.answers("127.0.0.1", port), started.values())
                fine = _show(console, box, url)
            except DidNotHappen as error:
                console.print(f"[red]Not in time: {error}.[/red] The logs may say why: {folder}/*.log")
                return 1
            if stay and fine:
                _print_addresses(console, box.url, web, _key(url, CONSOLE_KEY, CONSOLE), folder)
                return supervisor.wait(started)
    return 0 if fine else 1


@contextlib.contextmanager
def _new_database(settings: Settings) -> Iterator[str]:
    """The demo's own database, emptied: the sandbox begins anew each time, and no earlier opt-out or pause fits it."""
    with postgres.running(settings) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop schema public cascade; create schema public")
        migrations.migrate(url)
        yield url


def _key(url: str, name: str, rights: Sequence[Right]) -> str:
    """Create an API key: for the sandbox, which asks for links to the agent page, or for a person at the console."""
    with psycopg.connect(url, autocommit=True) as connection:
        return api_keys.add(connection, name, rights, per_minute=60) or ""


def environment(box: Sandbox, url: str, port: int, token: str) -> dict[str, str]:
    """The settings that connect a web process and a worker to this sandbox and database."""
    ccaip, salesforce = box.ccaip.settings, box.salesforce.settings
    return {
        "CONNECTOR_DATABASE_URL": url,
        "CONNECTOR_TRIAL_WITHOUT": "hours window",  # trials work at any hour and any number of times
        "CONNECTOR_HOST": "127.0.0.1",
        "CONNECTOR_PORT": str(port),
        "CONNECTOR_CHAT_POLL_SECONDS": "2",
        "CONNECTOR_CHAT_WRITE_SECONDS": "2",
        "CONNECTOR_CCAIP_URL": box.url,
        "CONNECTOR_CCAIP_SUBDOMAIN": ccaip.subdomain,
        "CONNECTOR_CCAIP_TOKEN": ccaip.api_token,
        "CONNECTOR_CCAIP_OUTBOUND_NUMBER": ccaip.numbers[0],
        "CONNECTOR_CCAIP_WEBHOOK_PRIMARY_SECRET": str(box.switches["chat_webhook_secret"]),
        "CONNECTOR_CCAIP_WEBHOOK_SECONDARY_SECRET": str(box.switches["chat_webhook_secondary_secret"]),
        "CONNECTOR_SALESFORCE_URL": box.url,
        "CONNECTOR_SALESFORCE_CLIENT_ID": salesforce.client_id,
        "CONNECTOR_SALESFORCE_CLIENT_SECRET": salesforce.client_secret,
        "CONNECTOR_SALESFORCE_ORGANIZATION_ID": salesforce.organization_id,
        "CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS": token,
    }


def sign_in(box: Sandbox, port: int) -> dict[str, str]:
    """The settings with which the sandbox's people sign in to the console."""
    return {
        "CONNECTOR_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CONNECTOR_OIDC_ISSUER": f"{box.url}/oidc",
        "CONNECTOR_OIDC_CLIENT_ID": box.oidc.settings.oidc_client_id,
        "CONNECTOR_OIDC_CLIENT_SECRET": box.oidc.settings.oidc_client_secret,
        "CONNECTOR_OIDC_ROLES": "support=view; ops=view,act; leads=view,act,content,keys",
    }


def _show(console: Console, box: Sandbox, url: str) -> bool:
    """Show one text step by step. True when the case carries the chat id that the sandbox issued."""
    case = box.salesforce.tickets()[0][0]
    before = box.salesforce.case(case["id"])
    start = time.monotonic()

    def step(name: str, words: str) -> None:
        console.print(f"[dim]{(time.monotonic() - start) * 1000:6.0f} ms[/dim]  [bold]{name:<11}[/bold] {words}")

    console.print(f"\nAn agent sets case {case['number']} to Requested; Salesforce sends its outbound message.")
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        box.salesforce.request_text(case["id"])
        text = _wait("the event is saved", lambda: _newest(connection))
        step("event", f"committed as text {text}")
        story = _wait("the text is decided", lambda: _once(connection, text, lambda story: story.sms or story.outcome))
        if not (sms := story.sms):
            raise DidNotHappen(f"the text was {story.state}: {story.why}")
        step("decision", f"rule {story.rule}, to {phone.mask(sms.end_user_number)}: {sms.message}")
        request = _wait("the SMS request", lambda: next(iter(box.ccaip.texts), None))
        step("SMS request", f"POST /apps/api/v1/sms, ticket_id {request.ticket_id}")
        story = _wait("the outcome", lambda: _once(connection, text, lambda story: story.outcome))
        chat = story.chat or {}
        step("chat", f"{story.state}, chat {chat.get('id')} is {chat.get('status')}")
        _wait("the write-back", lambda: _once(connection, text, lambda story: story.written))
        step("write-back", "the case has it")
    after = box.salesforce.case(case["id"])
    console.print(_before_and_after(case["number"], before, after))
    return bool(after["CCAIP_Chat_Id__c"] == str(request.chat_id))


def _newest(connection: psycopg.Connection[dict[str, Any]]) -> int:
    """The newest text, or 0."""
    row = connection.execute("select coalesce(max(id), 0) as id from texts").fetchone()
    return row["id"] if row else 0


def _once(
    connection: psycopg.Connection[dict[str, Any]], text: int, reached: Callable[[TextStory], object]
) -> TextStory | None:
    story = text_views.story(connection, text)
    return story if story and reached(story) else None


def _wait(what: str, look: Callable[[], Found | None], started: Collection[subprocess.Popen[bytes]] = ()) -> Found:
    """Poll `look` until it returns something. Raises DidNotHappen on timeout or when a process has ended."""
    end = time.monotonic() + STEP_SECONDS
    while time.monotonic() < end and all(process.poll() is None for process in started):
        if found := look():
            return found
        time.sleep(POLL_SECONDS)
    raise DidNotHappen(what)


def _before_and_after(number: str, before: dict[str, Any], after: dict[str, Any]) -> Table:
    table = Table(title=f"Case {number}", title_justify="left")
    for column in ("Field", "Before", "After"):
        table.add_column(column)
    for field, label in FIELDS.items():
        table.add_row(label, before[field] or "–", after[field] or "–")
    return table


def _print_addresses(console: Console, sandbox: str, web: str, key: str, folder: Path) -> None:
    console.print(f"\nThe sandbox, cases on one side and the customer's phone on the other:  [bold]{sandbox}[/bold]")
    console.print(f"The console for operators:  [bold]{web}/console/[/bold]  sign in with the key  {key}")
    console.print("or with your organization, which is the sandbox: Vera Lund may look, Lea Moreau may do everything.")
    console.print(f"The connector:  {web}/healthz  {web}/readyz    Logs:  {folder}")
    console.print("In the sandbox, pick another case: \"Text customer (agent's page)\" opens the connector's own page")
    console.print('for agents, and "Request a text (workflow)" sets the case to Requested. Watch the phone, and reply.')
    console.print()
    console.print("Ctrl-C ends everything.")
