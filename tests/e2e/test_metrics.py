"""/metrics of the running pipe."""

import json
import re
import secrets
import signal
from collections.abc import Callable, Iterator

import httpx
import psutil
import psycopg
import pytest

from connector.sandbox import Sandbox
from tests.conftest import created
from tests.support.command import connector
from tests.support.pipe import Pipe, free_port, running, wait_for
from tests.support.prometheus import ROOT, names, promtool, value
from tests.support.tls import TLS

KEY = secrets.token_hex(24)
PORT = free_port()
DOCS = ROOT / "docs"
METRIC = r"\bconnector_[a-z_]+\b"


@pytest.fixture(scope="module")
def pipe(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe with metrics."""
    settings = {"metrics_keys": KEY, "worker_metrics_port": str(PORT), "write_back_hold_seconds": "0"}
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_metrics", template) as url,
        running(box, url, tmp_path_factory.mktemp("metrics"), **settings) as pipe,
    ):
        yield pipe


def scrape(url: str, key: str = KEY) -> httpx.Response:
    return httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}, verify=TLS, trust_env=False)


def of_web(pipe: Pipe) -> str:
    return scrape(pipe.web).text


def of_worker() -> str:
    return scrape(f"http://127.0.0.1:{PORT}").text


def until(scraped: Callable[[], str], name: str, above: float, **labels: str) -> str:
    """A scrape in which this metric is larger than `above`."""

    def look() -> str | None:
        found = scraped()
        return found if value(found, name, **labels) > above else None

    return wait_for(look, f"{name} is above {above}")


def test_without_the_key_there_is_nothing(pipe: Pipe) -> None:
    for url in (pipe.web, f"http://127.0.0.1:{PORT}"):
        assert scrape(url).status_code == 200
        for key in ("wrong", KEY + "x"):
            refused = scrape(url, key)
            assert (refused.status_code, "connector_" in refused.text) == (401, False)
    assert httpx.get(f"http://127.0.0.1:{PORT}/other", verify=TLS, trust_env=False).status_code == 404


def test_a_text_is_counted_from_event_to_ticket(pipe: Pipe) -> None:
    before, sent = of_web(pipe), of_worker()
    [case] = pipe.box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
    [clicked] = pipe.box.salesforce.make_cases(1)

    event = {"event_id": secrets.token_hex(8)}
    assert pipe.event(case, **event).status_code == pipe.event(case, **event).status_code == 202
    assert pipe.send(clicked).json()["state"] == "sent"
    pipe.told(case)
    pipe.told(clicked)

    def more(name: str, old: str, new: str, **labels: str) -> float:
        return value(new, name, **labels) - value(old, name, **labels)

    after, worker = (
        of_web(pipe),
        until(
            of_worker,
            "connector_event_to_written_seconds_count",
            value(sent, "connector_event_to_written_seconds_count") + 1,
        ),
    )
    events = "connector_events_total"
    assert more(events, before, after, crm="salesforce", channel="trigger", result="new") >= 1
    assert more(events, before, after, crm="salesforce", channel="trigger", result="duplicate") == 1
    assert more(events, before, after, crm="salesforce", channel="agent", result="new") == 1
    assert more("connector_platform_calls_total", sent, worker, result="accepted", code="none") == 2
    # One may be decided again, where a worker is held up.
    assert more("connector_decisions_total", sent, worker, result="allowed") >= 2
    assert more("connector_event_to_sent_seconds_count", sent, worker) == 2
    assert more("connector_click_to_outcome_seconds_count", sent, worker) == 1
    assert more("connector_event_to_written_seconds_count", sent, worker) >= 2
    assert more("connector_event_to_sent_seconds_sum", sent, worker) < 30
    assert 0 < value(worker, "connector_crm_calls_left_ratio", crm="salesforce") <= 1


def test_a_scrape_is_clean_and_says_nothing_of_people(pipe: Pipe) -> None:
    """No number, ticket or message is in any line, and promtool finds no fault."""
    [case] = pipe.box.salesforce.make_cases(1)
    pipe.send(case)
    for found in (of_web(pipe), of_worker()):
        assert case not in found
        assert "Hi " not in found
        assert all(text.number not in found for text in pipe.box.ccaip.texts)
        assert promtool("check", "metrics", given=found) == ""


def test_rules_dashboard_and_docs_name_only_metrics_that_exist(pipe: Pipe) -> None:
    there = names(of_web(pipe)) | names(of_worker())
    families = there | {re.sub("_(bucket|sum|count)$", "", name) for name in there}
    ours = {name for name in families if name.startswith("connector_")}

    documented = set(re.findall(rf"^\| `({METRIC})`", (DOCS / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE))
    rules = re.findall(METRIC, " ".join(re.findall("expr: (.*)", (ROOT / "deploy/prometheus/alerts.yml").read_text())))
    dashboard = json.loads((ROOT / "deploy/grafana/connector.json").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    assert set(rules) <= ours
    assert set(re.findall(METRIC, " ".join(panels))) <= ours
    assert documented == {re.sub("_(bucket|sum|count)$", "", name) for name in there if name.startswith("connector_")}


def test_a_dead_worker_is_seen_and_its_probe_says_so(pipe: Pipe) -> None:
    """A worker that hangs is found by its heartbeat; the web process still tells of it."""
    alive = connector("worker", "--probe", CONNECTOR_DATABASE_URL=pipe.url)
    assert (alive.returncode, "was heard of" in alive.stdout) == (0, True)
    [process] = [
        child
        for child in psutil.Process().children()
        if "worker" in child.cmdline() and child.environ().get("CONNECTOR_WORKER_METRICS_PORT") == str(PORT)
    ]
    process.send_signal(signal.SIGSTOP)
    try:
        with psycopg.connect(pipe.url, autocommit=True) as connection:
            connection.execute("update leases set next_at = now() - interval '5 minutes' where name like 'alive:%'")
        until(lambda: of_web(pipe), "connector_worker_heartbeat_age_seconds", 200)
        dead = connector("worker", "--probe", CONNECTOR_DATABASE_URL=pipe.url)
    finally:
        process.send_signal(signal.SIGCONT)
    assert (dead.returncode, "one was last heard of 3" in dead.stdout) == (1, True)
    until(lambda: of_web(pipe), "connector_workers", 0)


def test_a_probe_without_a_worker_or_a_database_says_so(url: str) -> None:
    none = connector("worker", "--probe", CONNECTOR_DATABASE_URL=url)
    assert (none.returncode, none.stdout) == (1, "No worker has run on this machine.\n")
    away = connector("worker", "--probe", CONNECTOR_DATABASE_URL="postgresql://127.0.0.1:9/x")
    assert (away.returncode, "the database does not answer" in away.stdout) == (1, True)
    assert "Traceback" not in away.stderr


@pytest.mark.parametrize("port", [PORT, None], ids=["in use", "the web process's own"])
def test_a_port_that_cannot_be_used_is_refused(pipe: Pipe, port: int | None) -> None:
    from connector.cli import demo

    web = free_port()
    environment = demo.environment(pipe.box, pipe.url, web, pipe.token)
    done = connector("run", **environment, CONNECTOR_WORKER_METRICS_PORT=str(port or web))
    assert done.returncode == 2
    assert "CONNECTOR_WORKER_METRICS_PORT: " in done.stderr


def test_the_worker_has_its_own_process_metrics(pipe: Pipe) -> None:
    assert value(of_worker(), "process_resident_memory_bytes") > 0
