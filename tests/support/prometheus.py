"""What Prometheus would say of a scrape: promtool evaluates the shipped rules on its values."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
# For how long a state before and after something broke is shown to the rules. Longer than every rule waits.
MINUTES_BEFORE, MINUTES_AFTER = 30, 90


def promtool(*arguments: str, given: str | None = None) -> str:
    """Run promtool; what it prints. Fails the test when it finds a problem. Skips it when there is no promtool."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def names(scrape: str) -> set[str]:
    """The names of all series that a scrape can have, those of counters and histograms without a value included."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {
        family.name + suffix
        for family in text_string_to_metric_families(scrape)
        for suffix in suffixes.get(family.type, ("",))
    }


def value(scrape: str, name: str, **labels: str) -> float:
    """The sum of the series of this name that have these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@dataclass(frozen=True, slots=True)
class Scrape:
    """What Prometheus got from all processes at a moment, by instance: the job, and the text. None: no answer."""

    answers: Mapping[str, tuple[str, str | None]]
    at: float = field(default_factory=time.monotonic)

    def value(self, name: str, **labels: str) -> float:
        """The largest sum of the series of this name that have these labels, of one process."""
        return max((value(text, name, **labels) for _, text in self.answers.values() if text), default=0)

    def everywhere(self, name: str, **labels: str) -> list[float]:
        """That sum of each process that answered."""
        return [value(text, name, **labels) for _, text in self.answers.values() if text]

    @property
    def series(self) -> dict[str, float]:
        """Every series of the connector, as Prometheus stores it."""
        found = dict[str, float]()
        for instance, (job, text) in self.answers.items():
            target = {"job": job, "instance": instance}
            found[f"up{_labels(target)}"] = float(text is not None)
            for family in text_string_to_metric_families(text or ""):
                for sample in family.samples:
                    if sample.name.startswith("connector_"):
                        found[f"{sample.name}{_labels(sample.labels | target)}"] = sample.value
        return found


def assert_fired(before: Scrape, after: Scrape, folder: Path, *alerts: str, growth: Scrape | None = None) -> None:
    """Assert that these alerts, and no others, fire when every scrape is `before` for half an hour, then `after`.

    `growth`: a scrape some seconds before `after`. Counters that grew between the two go on at this rate.
    """
    was, now = before.series, after.series
    a_minute = _growth(growth, after) if growth else {}
    series = [
        {
            "series": name,
            "values": f"{_values(was.get(name), MINUTES_BEFORE)} "
            f"{_values(now.get(name), MINUTES_AFTER, a_minute.get(name, 0))}",
        }
        for name in sorted(was.keys() | now.keys())
    ]
    expression = {
        "expr": f'group by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{MINUTES_AFTER}m]))',
        "eval_time": f"{MINUTES_BEFORE + MINUTES_AFTER}m",
        "exp_samples": [{"labels": _labels({"alertname": alert}), "value": 1} for alert in alerts],
    }
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [expression]}],
    }
    path = folder / "test.yml"
    path.write_text(json.dumps(test))  # JSON is YAML
    promtool("test", "rules", str(path))


def _growth(earlier: Scrape, later: Scrape) -> dict[str, float]:
    """What each counter gains in a minute, by its series."""
    was, seconds = earlier.series, later.at - earlier.at
    now = later.series
    return {name: (now[name] - was[name]) / seconds * 60 for name in now.keys() & was.keys() if "_total{" in name}


def _values(first: float | None, minutes: int, a_minute: float = 0) -> str:
    """So many values for promtool; `_` is a series that is not there."""
    return f"_x{minutes - 1}" if first is None else f"{first}+{a_minute}x{minutes - 1}"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(text)}" for name, text in labels.items()) + "}" if labels else ""
