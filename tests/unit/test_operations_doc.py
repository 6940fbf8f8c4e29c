"""What the page for operators promises of the log."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("connector", "webhooks")


def test_what_is_worth_an_alarm_is_said_in_these_words_as_an_error() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [line] = [line for line in page.splitlines() if line.startswith("Worth an alarm")]
    alarms = re.findall(r'"(.+?)"', line)
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    assert len(alarms) > 4
    assert [words for words in alarms if not re.search(rf'log\.error\(\s*"{re.escape(words)}', code)] == []
