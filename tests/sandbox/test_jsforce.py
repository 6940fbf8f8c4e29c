"""Node's jsforce against the sandbox: a second real client, which reads other parts of the answers."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from connector import sandbox

SCRIPT = Path(__file__).parent.parent / "jsforce" / "roundtrip.mjs"
HOME = os.environ.get("JSFORCE_HOME", "")


@pytest.fixture
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    if not (Path(HOME) / "node_modules" / "jsforce").is_dir() or not HOME:
        pytest.skip("jsforce is not installed: npm install --prefix FOLDER jsforce, then set JSFORCE_HOME=FOLDER")
    return found


def test_jsforce(node: str) -> None:
    with sandbox.Sandbox(port=0, query_page_size=4).running() as box:
        environment = os.environ | {"SANDBOX_URL": box.url, "JSFORCE_HOME": HOME}
        done = subprocess.run([node, SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        org = box.salesforce
    assert seen["user"] == {"id": org.own_user_id, "organizationId": org.organization_id, "url": seen["user"]["url"]}
    assert seen["identity"] == "connector@sandbox.example"
    assert {"Id", "ContactMobile", "CCAIP_SMS_Status__c"} <= set(seen["described"])
    assert "Case" in seen["globally"]
    assert (seen["queried"]["total"], seen["queried"]["fetched"]) == (6, 6)
    assert seen["queried"]["first"]["Contact"]["MobilePhone"] == "+1 (415) 555-0132"
    assert all(seen[step] for step in ("created", "updated", "upserted", "deleted"))
    assert (seen["retrieved"]["Subject"], seen["retrieved"]["CCAIP_SMS_Status__c"]) == ("Upserted", "Sent")
    assert seen["many"] == ["ok", "STRING_TOO_LONG"]
    assert seen["refused"] == "MALFORMED_QUERY"
    assert seen["bulk"] == {"rows": 7, "subject": "Upserted"}
    assert seen["usage"]["limit"] == 15000
