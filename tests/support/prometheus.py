"""What Prometheus would say of a scrape: promtool evaluates the shipped rules on its values."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
# Longer than every rule but those about half an hour.
MINUTES = 10


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


def assert_firing(scrape: str, folder: Path, *alerts: str) -> None:
    """Assert that these alerts, and no others, fire when every scrape of ten minutes has these values."""
    series = [
        {"series": f"{sample.name}{_labels(sample.labels)}", "values": f"{sample.value}x{MINUTES * 4}"}
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name.startswith("connector_")
    ]
    expression = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{MINUTES}m",
        "exp_samples": [{"labels": _labels({"alertname": alert}), "value": 1} for alert in alerts],
    }
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": series, "promql_expr_test": [expression]}],
    }
    path = folder / "test.yml"
    path.write_text(json.dumps(test))  # JSON is YAML
    promtool("test", "rules", str(path))


def _labels(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(text)}" for name, text in labels.items()) + "}" if labels else ""
