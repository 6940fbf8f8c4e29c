"""What is counted, what is read at a scrape, and that neither can disturb the process."""

import json
import re
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from connector import logs, settings, settings_checks
from connector.errors import BadSettings
from connector.metrics import counters, exposition, readings
from connector.metrics.readings import Reading, Readings
from tests.support.prometheus import ROOT, RULES, promtool

KEY = "k" * 24


def scraped(source: Readings) -> str:
    registry = CollectorRegistry()
    registry.register(source)
    return generate_latest(registry).decode()


def test_readings_are_used_again_for_a_few_seconds() -> None:
    calls = []

    def read() -> list[Reading]:
        calls.append(1)
        return [Reading("connector_x", "X.", ["state"], [(["a"], 2.0)])]

    source = Readings(read, dict)
    assert scraped(source) == scraped(source)
    assert 'connector_x{state="a"} 2.0' in scraped(source)
    assert "connector_database_up 1.0" in scraped(source)
    assert calls == [1]


def test_a_scrape_succeeds_whatever_the_database_does() -> None:
    def read() -> list[Reading]:
        raise OSError("away")

    found = scraped(Readings(read, lambda: {"other": 3}))
    assert "connector_database_up 0.0" in found
    assert 'connector_errors_total{error="other"} 3.0' in found


def test_a_scrape_does_not_wait_for_a_database_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it reads in the end is used by a later scrape, and meanwhile nothing else is asked."""
    monkeypatch.setattr(readings, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(readings, "CACHE_SECONDS", 0.0)
    hangs, calls = threading.Event(), []

    def read() -> list[Reading]:
        calls.append(1)
        hangs.wait(10)
        return []

    source = Readings(read, dict)
    assert "connector_database_up 0.0" in scraped(source)
    assert "connector_database_up 0.0" in scraped(source)
    monkeypatch.setattr(readings, "WAIT_SECONDS", 10.0)
    hangs.set()
    assert "connector_database_up 1.0" in scraped(source)
    assert calls == [1]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {KEY}", True),
        ("Bearer " + "x" * 24, False),
        (KEY, False),
        ("Bearer ", False),
        ("", False),
        (None, False),
    ],
)
def test_a_key_is_a_bearer_token(header: str | None, expected: bool) -> None:
    assert exposition.allowed(header, [SecretStr("o" * 24), SecretStr(KEY)]) is expected
    assert not exposition.allowed(header, [])


@pytest.mark.parametrize(
    ("host", "port", "keys", "safe"),
    [
        ("127.0.0.1", 9101, [], True),
        ("::1", 9101, [], True),
        ("0.0.0.0", 9101, [KEY], True),  # noqa: S104 - what is tested
        ("0.0.0.0", None, [], True),  # noqa: S104 - what is tested
        ("0.0.0.0", 9101, [], False),  # noqa: S104 - what is tested
        ("10.0.0.7", 9101, [], False),
    ],
)
def test_metrics_for_other_machines_need_a_key(host: str, port: int | None, keys: list[str], safe: bool) -> None:
    wanted = settings.load(
        worker_metrics_host=host, worker_metrics_port=port, metrics_keys=list(map(SecretStr, keys)), _env_file=None
    )
    if safe:
        settings_checks.require_safe_metrics(wanted)
    else:
        with pytest.raises(BadSettings, match=r"CONNECTOR_WORKER_METRICS_HOST: expected .* or a key"):
            settings_checks.require_safe_metrics(wanted)


def test_an_error_is_counted_by_its_sentence_and_others_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "errors", logs.errors.copy())
    before = logs.errors.copy()
    for level, sentence in [
        ("error", "the outcome is unknown"),
        ("error", "a process has ended, so all stop: start them again"),
        ("error", "+14155550132 is odd"),
        ("warning", "the outcome is unknown"),
    ]:
        logs.count_errors(None, level, {"event": sentence})
    assert logs.errors - before == {"outcome_unknown": 1, "process_ended": 1, "other": 1}


def test_every_alarm_of_the_log_has_a_name_and_every_alert_its_line_in_the_docs() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [line] = [line for line in page.splitlines() if line.startswith("Worth an alarm")]
    for words in re.findall(r'"(.+?)"', line):
        assert any(sentence.startswith(words) for sentence in logs.ALARMS), words
    rules = re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert re.findall(r"^\| `(Connector\w+)`", page, re.MULTILINE) == rules
    assert set(re.findall(r'alertname="(\w+)"', (RULES.parent / "alerts_test.yml").read_text())) == set(rules)


def test_every_check_in_the_code_has_a_label() -> None:
    found = set[str]()
    paths = [path for part in ("policy", "mapping") for path in (ROOT / "connector" / part).rglob("*.py")]
    for path in paths:
        source = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'Finding\(\s*"(\w+)"', source)) | set(re.findall(r'Skip\([^)]*check="(\w+)"', source))
    assert len(found) > 8
    assert found <= counters.CHECKS
    assert counters.known("+14155550132", counters.CHECKS) == "other"


def test_promtool_passes_the_rules_and_their_tests() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("test", "rules", str(RULES.parent / "alerts_test.yml"))


def test_the_dashboard_follows_the_rules_of_grafanas_linter() -> None:
    """A data source variable, job and instance in every query, titles, units, and rates over $__rate_interval."""
    dashboard = json.loads((Path(ROOT) / "deploy" / "grafana" / "connector.json").read_text(encoding="utf-8"))
    assert {one["name"] for one in dashboard["templating"]["list"]} == {"datasource", "job", "instance"}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            selectors = re.findall(r"connector_\w+(\{[^}]*\})?", target["expr"])
            assert all('job=~"$job"' in one and 'instance=~"$instance"' in one for one in selectors)
            assert set(re.findall(r"\[(.*?)\]", target["expr"])) <= {"$__rate_interval"}
