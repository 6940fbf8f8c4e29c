"""What the README tells to type does what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.pipe import Pipe, wait_for

ROOT = Path(__file__).parent.parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CASE = re.compile(r"50000000000000\dAAA")


def curls() -> list[str]:
    """The README's blocks that have one, in order."""
    blocks = re.findall(r"^```\n(.*?)^```$", DOCS[0].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "curl " in block]


def typed(pipe: Pipe, block: str, case: str) -> dict[str, Any]:
    """The last that this block prints, typed beside the running connector, about a case of the test's own."""
    here = block.replace("http://127.0.0.1:8080", pipe.web).replace("http://127.0.0.1:8787", pipe.box.url)
    here = CASE.sub(case, here).replace("curl ", "curl -sf ")
    environment = os.environ | {
        "CONNECTOR_DATABASE_URL": pipe.url,
        "PYTHON": sys.executable,
        "WEBHOOK_KEY": pipe.key,
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        ["bash", "-euc", 'connector() { "$PYTHON" -m connector "$@"; }\n' + here],
        env=environment,
        cwd=pipe.logs,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_readmes_event_texts(pipe: Pipe, case: str) -> None:
    said = typed(pipe, curls()[0], case)

    assert [one["duplicate"] for one in said["texts"]] == [False]
    rows = pipe.told(case, texts=2)  # the sandbox's own outbound message asks for the same text
    assert sorted(row["state"] for row in rows) == ["sent", "skipped"]
    assert [text.ticket_id for text in pipe.box.ccaip.texts].count(case) == 1


def test_the_readmes_request_of_an_agent_texts(pipe: Pipe, case: str) -> None:
    said = typed(pipe, curls()[1], case)

    assert (said["state"], said["ticket_id"]) == ("sent", case)


def test_an_event_about_a_case_that_asks_for_nothing_is_skipped_and_logged(pipe: Pipe, case: str) -> None:
    assert pipe.event(case).status_code == 202
    [text] = pipe.told(case)
    assert (text["state"], text["why"]) == ("skipped", "no rule asks for a text")
    wait_for(
        lambda: f'"text": {text["id"]}, "ticket": "{case}", "check": ' in (pipe.logs / "worker.log").read_text(),
        "the worker logs the text that it has skipped",
    )


def test_a_key_has_one_name_in_all_documents() -> None:
    names = {name for path in DOCS for name in re.findall(r"Bearer \$(\w+)", path.read_text(encoding="utf-8"))}

    assert names <= {"API_KEY", "WEBHOOK_KEY", "TOKEN"}, "TOKEN is Salesforce's own, of the sandbox"
