"""Every alert fires when the thing it is about breaks in a running connector, alone; and none fires while all is well.

A case breaks the thing, waits until the processes' own /metrics show it, and gives the scrapes of before and after to
the shipped rules. States that take minutes to reach are set in the database.
"""

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from connector import logs, supervisor
from connector.cli import demo
from connector.sandbox import Sandbox
from connector.store import circuit_breaker, installation, pauses, text_views
from connector.store.pauses import Scope
from tests.conftest import created
from tests.support import chat_webhooks
from tests.support.command import connector
from tests.support.pipe import Pipe, free_port, running, wait_for, without_job
from tests.support.prometheus import RULES, Scrape, assert_fired
from tests.support.tls import TLS
from webhooks.ccaip.chat_events import PATH

SHIPPED = Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml"
KEY = secrets.token_hex(24)
# Texts a day of the outbound number, and texts a second: so few that a busy machine keeps up.
BUDGET, RATE = 500, 0.25
# Seconds for which a rate is measured at least, and in which it has to show.
RATE_SECONDS, RATE_PATIENCE = 6.0, 30.0
CALLS = "connector_platform_calls_total"
REFUSED = [{"success": False, "errors": [{"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "no"}]}]


@dataclass
class Running:
    """A running connector, and what Prometheus scrapes of it."""

    pipe: Pipe
    server: str
    targets: dict[str, tuple[str, str]] = field(default_factory=dict)

    def scrape(self) -> Scrape:
        return Scrape({instance: (job, _text(url)) for instance, (job, url) in self.targets.items()})

    def until(self, seen: Callable[[Scrape], bool], what: str) -> Scrape:
        return wait_for(lambda: found if seen(found := self.scrape()) else None, what)

    def sql(self, statement: str, *parameters: object) -> None:
        with psycopg.connect(self.pipe.url, autocommit=True) as connection:
            connection.execute(statement, parameters)

    def case(self, **fields: str) -> str:
        """A new case. With the status Requested, the org asks for a text."""
        return str(self.pipe.box.salesforce.make_cases(1, **fields)[0])


def _text(url: str) -> str | None:
    try:
        answer = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {KEY}"}, verify=TLS, trust_env=False)
    except httpx.TransportError:
        return None
    assert answer.status_code == 200
    return answer.text


Break = Callable[[Running], AbstractContextManager[None]]


@dataclass(frozen=True)
class Alarm:
    """An alert, how to break what it is about, and how a scrape shows that.

    `errors`: the errors of the log that the alert stands for; see logs.ALARMS. `growing`: it is about a rate.
    """

    alert: str
    breaks: Break
    seen: Callable[[Scrape], bool]
    errors: frozenset[str] = frozenset()
    growing: bool = False


@contextlib.contextmanager
def process_killed(of: Running) -> Iterator[None]:
    """A second web process is killed."""
    port = free_port()
    environment = demo.environment(of.pipe.box, of.pipe.url, port, secrets.token_hex(24))
    with supervisor.children(["serve"], environment | {"CONNECTOR_METRICS_KEYS": KEY}) as started:
        wait_for(lambda: supervisor.answers("127.0.0.1", port), "the second web process is ready")
        of.targets["127.0.0.1:2"] = "connector-web", f"http://127.0.0.1:{port}"
        started["serve"].kill()
        started["serve"].wait()
        try:
            yield
        finally:
            del of.targets["127.0.0.1:2"]


@contextlib.contextmanager
def database_away(of: Running) -> Iterator[None]:
    """The database refuses all connections."""
    name = str(psycopg.conninfo.conninfo_to_dict(of.pipe.url)["dbname"])
    with psycopg.connect(of.server, autocommit=True) as connection:
        allow = sql.SQL("alter database {} with allow_connections {}")
        connection.execute(allow.format(sql.Identifier(name), sql.Literal(False)))
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(allow.format(sql.Identifier(name), sql.Literal(True)))


@contextlib.contextmanager
def no_worker(of: Running) -> Iterator[None]:
    """No heartbeat of a worker is recorded any more."""
    of.sql("create function nothing() returns trigger language plpgsql as 'begin return null; end'")
    of.sql("update leases set next_at = now() - interval '5 minutes' where starts_with(name, 'alive:')")
    of.sql("create trigger silent before insert on leases for each row execute function nothing()")
    yield
    of.sql("drop function nothing() cascade")


@contextlib.contextmanager
def wrong_token(of: Running) -> Iterator[None]:
    """The platform refuses the credentials."""
    of.pipe.box.faults.add("status", side="ccaip", status=401, times=1000)
    case = of.case(CCAIP_SMS_Status__c="Requested")
    yield
    of.pipe.box.faults.clear()
    connector("resume", "--anyway", CONNECTOR_DATABASE_URL=of.pipe.url)
    of.pipe.told(case)


@contextlib.contextmanager
def restored(of: Running) -> Iterator[None]:
    """A worker finds that this is another database, with a text that waits."""
    case = of.case()
    text = without_job(of.pipe.url, case)
    of.sql("update installation set identity = 'another'")
    installation.check(of.pipe.url)
    yield
    of.sql("update texts set state = 'cancelled' where id = %s", text)
    connector("resume", "--anyway", CONNECTOR_DATABASE_URL=of.pipe.url)


@contextlib.contextmanager
def asked_to_wait(of: Running) -> Iterator[None]:
    """The platform answers 429."""
    of.pipe.box.faults.add("status", side="ccaip", route="sms", status=429, headers={"Retry-After": "600"})
    case = of.case(CCAIP_SMS_Status__c="Requested")
    yield
    connector("resume", "--anyway", CONNECTOR_DATABASE_URL=of.pipe.url)
    of.pipe.told(case)


@contextlib.contextmanager
def no_answer(of: Running) -> Iterator[None]:
    """The platform closes the connection without an answer."""
    of.pipe.box.faults.add("drop_after", side="ccaip", route="sms")
    text = of.pipe.send(of.case()).json()["id"]
    yield
    connector("texts", "resolve", str(text), "--not-sent", CONNECTOR_DATABASE_URL=of.pipe.url)


@contextlib.contextmanager
def text_without_job(of: Running) -> Iterator[None]:
    """A trigger's text has waited for an hour. One of a batch that is as old raises no alarm, nor does a held one."""
    texts = [without_job(of.pipe.url, of.case()) for _ in range(3)]
    of.sql("update texts set changed_at = now() - interval '1 hour' where id = any(%s)", texts)
    of.sql("update texts set channel = 'batch' where id = %s", texts[0])
    of.sql("update texts set state = 'queued', not_before = now() + interval '1 day' where id = %s", texts[1])
    yield
    of.sql("update texts set state = 'cancelled' where id = any(%s)", texts)


@contextlib.contextmanager
def write_refused(of: Running) -> Iterator[None]:
    """A validation rule of the org refuses the outcome."""
    case = of.case()
    body = [answer | {"id": case} for answer in REFUSED]
    of.pipe.box.faults.add("status", side="salesforce", route="update", status=200, body=body, match=case, times=100)
    text = of.pipe.send(case).json()["id"]
    yield
    of.pipe.box.faults.clear()
    connector("texts", "give-up", str(text), "--why", "a test", CONNECTOR_DATABASE_URL=of.pipe.url)


@contextlib.contextmanager
def write_late(of: Running) -> Iterator[None]:
    """An outcome has no write-back for two hours."""
    text = without_job(of.pipe.url, of.case())
    of.sql(
        "update texts set state = 'failed', outcome = 1, changed_at = now() - interval '2 hours' where id = %s", text
    )
    yield
    of.sql("update texts set written = outcome where id = %s", text)


@contextlib.contextmanager
def field_refused(of: Running) -> Iterator[None]:
    """The CRM has refused a ticket's opt-out field, which is tried again tomorrow."""
    of.sql(
        "insert into record_fields (crm, ticket_id, kind, value, refused, due_at)"
        " values ('salesforce', 'refused', 'opt_out', true, 'no', now() + interval '1 day')"
    )
    yield
    of.sql("delete from record_fields where ticket_id = 'refused'")


@contextlib.contextmanager
def review_overdue(of: Running) -> Iterator[None]:
    of.sql(
        "insert into opt_out_reviews (key, crm, ticket_id, chat, words, said_at, due_at, limit_at)"
        " values ('k', 'salesforce', 't', '1', 'please no more', now() - interval '5 days', now() - interval '1 day',"
        " now() + interval '9 days')"
    )
    yield
    of.sql("delete from opt_out_reviews")


@contextlib.contextmanager
def forged_chat_events(of: Running) -> Iterator[None]:
    """Six webhooks are signed with another secret. One alone would raise no alarm."""
    body = chat_webhooks.message(1, "STOP")
    for _ in range(6):
        answer = httpx.post(
            f"{of.pipe.web}{PATH}", content=body, headers=chat_webhooks.headers(body), verify=TLS, trust_env=False
        )
        assert answer.status_code == 401
    yield


@contextlib.contextmanager
def paused(of: Running) -> Iterator[None]:
    with psycopg.connect(of.pipe.url, autocommit=True) as connection:
        pauses.pause(connection, Scope.CHANNEL, "batch", "the wrong date", "Ana")
        yield
        pauses.resume(connection, Scope.CHANNEL, "batch")


@contextlib.contextmanager
def budget_used_up(of: Running) -> Iterator[None]:
    of.sql("update daily_budgets set texts = texts + %s", BUDGET)
    yield
    of.sql("update daily_budgets set texts = texts - %s", BUDGET)


@contextlib.contextmanager
def settled_before_the_answer(of: Running) -> Iterator[None]:
    """A person settles a text as not sent, and then the platform's answer comes."""
    of.pipe.box.faults.add("delay", side="ccaip", route="sms", seconds=4)
    case = of.case(CCAIP_SMS_Status__c="Requested")
    wait_for(lambda: [one for one in of.pipe.texts(case) if one["state"] == "sending"], "the call is under way")
    of.sql("update texts set claim_until = now() - interval '1 second' where ticket_id = %s", case)
    [text] = wait_for(lambda: [one for one in of.pipe.texts(case) if one["state"] == "unknown"], "it is given up")
    with psycopg.connect(of.pipe.url, autocommit=True) as connection:
        assert text_views.resolve(connection, text["id"], None)
    wait_for(lambda: of.pipe.texts(case)[0]["contradicted"], "the answer is there")
    of.pipe.told(case)
    yield


@contextlib.contextmanager
def unreadable(of: Running) -> Iterator[None]:
    """An authentic outbound message is no XML."""
    of.pipe.outbound_message(b"<no")
    yield


@contextlib.contextmanager
def opt_out_of_an_erased_number(of: Running) -> Iterator[None]:
    """A customer opts out in a chat whose number is not kept any more."""
    case = of.case(CCAIP_SMS_Status__c="Requested")
    text = of.pipe.told(case)[-1]
    of.sql("update texts set sms = null where id = %s", text["id"])
    body, secret = chat_webhooks.message(text["chat"]["id"], "STOP"), str(of.pipe.box.switches["chat_webhook_secret"])
    signed = chat_webhooks.headers(body, secret=secret)
    httpx.post(f"{of.pipe.web}{PATH}", content=body, headers=signed, verify=TLS, trust_env=False).raise_for_status()
    yield


@contextlib.contextmanager
def few_calls_left(of: Running) -> Iterator[None]:
    """The org says that nearly all of its calls are used."""
    used = of.pipe.box.salesforce.api_usage
    of.pipe.box.salesforce.api_usage = 14_000
    of.pipe.told(of.case(CCAIP_SMS_Status__c="Requested"))
    yield
    of.pipe.box.salesforce.api_usage = used
    of.pipe.told(of.case(CCAIP_SMS_Status__c="Requested"))


@contextlib.contextmanager
def full_speed(of: Running) -> Iterator[None]:
    """More texts wait than may be sent in some seconds."""
    before = of.scrape().value(CALLS)
    of.pipe.box.salesforce.make_cases(12, CCAIP_SMS_Status__c="Requested")
    of.until(above(CALLS, before), "the first has left")
    yield
    of.sql("update texts set state = 'cancelled' where state in ('received', 'queued')")


def above(name: str, least: float = 0, **labels: str) -> Callable[[Scrape], bool]:
    """Whether some process shows more than this."""
    return lambda scrape: scrape.value(name, **labels) > least


def breaker(state: str) -> Callable[[Scrape], bool]:
    return above("connector_breaker_state", account=circuit_breaker.PLATFORM, state=state)


def error(name: str) -> Callable[[Scrape], bool]:
    return above("connector_errors_total", error=name)


ALARMS = [
    Alarm("ConnectorNoWorker", no_worker, lambda scrape: max(scrape.everywhere("connector_workers")) == 0),
    Alarm("ConnectorAccountTripped", wrong_token, breaker("tripped"), frozenset({"account_stopped"})),
    Alarm("ConnectorWaitsForPerson", restored, breaker("waits_for_person"), frozenset({"waits_for_person"})),
    Alarm("ConnectorAccountPaused", asked_to_wait, breaker("paused")),
    Alarm("ConnectorTextUnknown", no_answer, above("connector_texts_unknown"), frozenset({"outcome_unknown"})),
    Alarm(
        "ConnectorTextsDelayed",
        text_without_job,
        above("connector_texts_waiting_age_seconds", 3000, channel="trigger", state="received"),
    ),
    Alarm(
        "ConnectorWriteBackRefused",
        write_refused,
        above("connector_write_backs_refused"),
        frozenset({"write_back_refused"}),
    ),
    Alarm("ConnectorWriteBackDelayed", write_late, above("connector_write_backs_waiting_age_seconds", 7000)),
    Alarm(
        "ConnectorFieldWriteRefused",
        field_refused,
        above("connector_field_writes_refused"),
        frozenset({"field_write_refused"}),
    ),
    Alarm(
        "ConnectorOptOutReviewOverdue",
        review_overdue,
        above("connector_opt_out_reviews_overdue"),
        frozenset({"opt_out_review_overdue"}),
    ),
    Alarm("ConnectorChatEventsRefused", forged_chat_events, above("connector_chat_events_refused_total", 5)),
    Alarm("ConnectorPausedByOperator", paused, above("connector_operator_pauses", scope="channel")),
    Alarm("ConnectorDailyBudgetUsedUp", budget_used_up, above("connector_daily_budget_used", BUDGET)),
    Alarm(
        "ConnectorAnswerContradicts",
        settled_before_the_answer,
        error("answer_contradicts"),
        frozenset({"answer_contradicts"}),
    ),
    Alarm(
        "ConnectorMessageUnreadable",
        unreadable,
        error("message_unreadable"),
        frozenset({"message_unreadable", "chat_event_unreadable", "chat_event_set_aside"}),
    ),
    Alarm("ConnectorErrors", opt_out_of_an_erased_number, error("other"), frozenset({"other"})),
    Alarm(
        "ConnectorCrmCallsLow",
        few_calls_left,
        lambda scrape: 0 < scrape.value("connector_crm_calls_left_ratio", crm="salesforce") < 0.1,
    ),
    Alarm("ConnectorRateLimitReached", full_speed, above(CALLS), growing=True),
    Alarm(
        "ConnectorDatabaseAway",
        database_away,
        lambda scrape: max(scrape.everywhere("connector_database_up")) == 0,
        frozenset({"database_away", "embedded_database_ended"}),
    ),
    Alarm(
        "ConnectorProcessDown",
        process_killed,
        lambda scrape: len(scrape.everywhere("connector_database_up")) < len(scrape.answers),
        frozenset({"process_ended"}),
    ),
]


@pytest.fixture(scope="module")
def of(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A connector that everything is broken in, and mended. Its processes read the database at each scrape."""
    folder, port = tmp_path_factory.mktemp("alarms"), free_port()
    mapping = f'{SHIPPED.read_text()}\n[policy.daily_budget]\ntexts = {BUDGET}\nzone = "UTC"\n'
    (folder / "salesforce.toml").write_text(mapping)
    (folder / "sitecustomize.py").write_text("from connector.metrics import readings\nreadings.CACHE_SECONDS = 0\n")
    settings = {
        "mappings": str(folder),
        "metrics_keys": KEY,
        "worker_metrics_port": str(port),
        "write_back_hold_seconds": "0",
        "ccaip_requests_per_second": str(RATE),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        with (
            Sandbox(port=0, requests_per_second=0).running() as box,
            created(server, "connector_test_alarms", template) as url,
            running(box, url, folder, **settings) as pipe,
        ):
            targets = {
                "127.0.0.1:1": ("connector-web", pipe.web),
                "127.0.0.1:9101": ("connector-worker", f"http://127.0.0.1:{port}"),
            }
            found = Running(pipe, server, targets)
            pipe.told(found.case(CCAIP_SMS_Status__c="Requested"))
            yield found


def is_well(scrape: Scrape) -> bool:
    """Whether nothing shows that is broken. What only counts up is not looked at."""
    states = ["tripped", "waits_for_person", "paused"]
    broken = [above("connector_breaker_state", state=state) for state in states]
    broken += [above(name) for name in ("connector_texts_unknown", "connector_write_backs_refused")]
    up = [scrape.everywhere(name) for name in ("connector_database_up", "connector_workers")]
    return not any(seen(scrape) for seen in broken) and all(min(each, default=0) > 0 for each in up)


def fastest(of: Running) -> tuple[Scrape, Scrape]:
    """The two scrapes between which most texts left in a second. The machine may be busy for a while."""

    def rate(pair: tuple[Scrape, Scrape]) -> float:
        return (pair[1].value(CALLS) - pair[0].value(CALLS)) / (pair[1].at - pair[0].at)

    scrapes, best, end = [of.scrape()], None, time.monotonic() + RATE_PATIENCE
    while best is None or (rate(best) < RATE and time.monotonic() < end):
        time.sleep(1)  # a scrape takes time from the worker
        scrapes.append(of.scrape())
        pairs = [(one, scrapes[-1]) for one in scrapes if scrapes[-1].at - one.at >= RATE_SECONDS]
        best = max([*pairs, *([best] if best else [])], key=rate, default=None)
    return best


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.alert)
def test_an_alert_fires_alone_when_its_thing_breaks(of: Running, tmp_path: Path, alarm: Alarm) -> None:
    of.sql("update sending_state set next_at = now() where account = %s", circuit_breaker.PLATFORM)  # the next slot
    before = of.until(is_well, "all is well")

    with alarm.breaks(of):
        broken = of.until(alarm.seen, f"{alarm.alert} can be seen")
        growth, broken = fastest(of) if alarm.growing else (None, broken)

    assert_fired(before, broken, tmp_path, alarm.alert, growth=growth)


def test_nothing_fires_while_all_is_well(of: Running, tmp_path: Path) -> None:
    """A text goes through meanwhile."""
    before = of.until(is_well, "all is well")
    of.pipe.told(of.case(CCAIP_SMS_Status__c="Requested"))
    assert_fired(before, of.until(is_well, "all is well"), tmp_path)


def test_every_alert_and_every_alarm_of_the_log_is_tried() -> None:
    rules = [line.split("alert: ")[1] for line in RULES.read_text().splitlines() if "alert: " in line]
    assert sorted(alarm.alert for alarm in ALARMS) == sorted(rules)
    tried = set(itertools.chain.from_iterable(alarm.errors for alarm in ALARMS))
    assert tried == {*logs.ALARMS.values(), logs.OTHER}
