"""The package for a Salesforce org with the vendor's own tools for Node: Apex is parsed, the component is linted and
tested, the project is converted to what a deployment sends.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "mappings" / "salesforce"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
HOME = os.environ.get("SFDX_HOME", "")
ORG_SPECIFIC = {
    "CCAI_SMS_OUTBOUND_MESSAGE_URL": "https://connector.example/webhooks/salesforce/outbound-messages/token",
    "CCAI_SMS_SEND_AS_USER": "admin@org.example",
    "CCAI_SMS_CONNECTOR_URL": "https://connector.example",
}


@dataclass(frozen=True)
class Tool:
    """Runs one of the package's tools in a copy of the package."""

    package: Path
    environment: Mapping[str, str]

    def __call__(self, *command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.package,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """On a copy: nothing is installed into or written to the tree."""
    modules = Path(HOME) / "node_modules"
    if not HOME or not (modules / ".bin" / "sf").exists():
        pytest.skip("the package's tools are not installed: see .ci/run, then set SFDX_HOME to their folder")
    copy = tmp_path_factory.mktemp("org")
    package = shutil.copytree(PACKAGE, copy / "mappings" / "salesforce", ignore=shutil.ignore_patterns("node_modules"))
    (package / "node_modules").symlink_to(modules.resolve())
    shutil.copytree(ROOT / "tests" / "fixtures", copy / "tests" / "fixtures")
    environment = (
        os.environ
        | ORG_SPECIFIC
        | {
            "PATH": f"{(modules / '.bin').resolve()}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(copy),
            "XDG_CACHE_HOME": str(copy),
            "XDG_DATA_HOME": str(copy),
            "XDG_CONFIG_HOME": str(copy),
            "SF_DISABLE_TELEMETRY": "true",
            "SF_AUTOUPDATE_DISABLE": "true",
            "SF_SKIP_NEW_VERSION_CHECK": "true",
            "SF_APPLY_REPLACEMENTS_ON_CONVERT": "true",
            "CI": "true",
        }
    )
    return Tool(package, environment)


def test_the_component_does_as_its_tests_say(tool: Tool) -> None:
    done = tool("sfdx-lwc-jest")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Tests: +\d{3} passed, \d{3} total$", done.stderr, re.MULTILINE), done.stderr


def test_the_scripts_are_written_as_they_should_be(tool: Tool) -> None:
    done = tool("eslint", "--max-warnings", "0", "force-app", "tests")
    assert done.returncode == 0, done.stdout


def test_apex_can_be_read(tool: Tool) -> None:
    done = tool("node", "tests/apex.mjs", *tool.package.rglob("*.cls"))
    assert done.returncode == 0, done.stderr
    broken = tool.package / "Broken.cls"
    broken.write_text("public class Broken { void broken() { if } }")
    done = tool("node", "tests/apex.mjs", broken)
    assert done.returncode == 1
    assert "Broken.cls:1:" in done.stderr


def test_the_project_is_converted_with_what_is_the_orgs_own(tool: Tool, tmp_path: Path) -> None:
    done = tool("sf", "project", "convert", "source", "--source-dir", "force-app", "--output-dir", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    package = etree.parse(tmp_path / "package.xml").getroot()
    kinds = {"CustomField": 7, "Flow": 3, "QuickAction": 2, "WorkflowOutboundMessage": 1, "LightningComponentBundle": 1}
    members = {kind.findtext(f"{NAMESPACE}name"): len(kind.findall(f"{NAMESPACE}members")) for kind in package}
    assert {kind: members[kind] for kind in kinds} == kinds
    converted = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert ".invalid" not in converted
    assert all(converted.count(f">{value}<") == 1 for value in ORG_SPECIFIC.values())
    assert not list(tmp_path.rglob("__tests__"))
