"""The wheel: what is in it, and that it runs where nothing else is installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.pipe import free_port

ROOT = Path(__file__).parent.parent.parent
VERSIONS = ("python3.11", "python3.12", "python3.13")
QUIET = ("--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    here = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *QUIET, *here], check=True, timeout=120)
    [found] = folder.glob("*.whl")
    return found


def interpreters() -> list[str]:
    """This Python, and each supported one that is installed here."""
    found = {sys.version_info[:2]: sys.executable}
    ask = "import sys; print(*sys.version_info[:2])"
    for name in VERSIONS:
        if path := shutil.which(name):
            said = subprocess.run([path, "-c", ask], capture_output=True, text=True, check=False, timeout=60)
            if said.returncode == 0:
                major, minor = map(int, said.stdout.split())
                found.setdefault((major, minor), path)
    return list(found.values())


def test_it_has_what_it_needs_to_run_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [metadata] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
    listed = subprocess.run(
        ["git", "ls-files", "connector", "webhooks", "mappings"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert names == {name for name in listed.stdout.splitlines() if not name.startswith("mappings/salesforce/")}
    assert "Project-URL: " in metadata
    assert "Classifier: Programming Language :: Python :: 3.13" in metadata


def test_it_texts_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda python: demo(python, wheel, tmp_path), interpreters()))
    for printed in said:
        assert "sent, chat 1 is selecting" in printed


def demo(python: str, wheel: Path, folder: Path) -> str:
    """What the demo prints in a new environment that holds the wheel, and what it needs to run."""
    home = folder / python.replace("/", "_")
    subprocess.run([python, "-m", "venv", str(home)], check=True, timeout=120)
    needed, _, _ = (ROOT / "constraints.txt").read_text(encoding="utf-8").partition("# To test it")
    (home / "constraints.txt").write_text(needed, encoding="utf-8")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", *QUIET]
    subprocess.run([*pip, "--require-hashes", "-r", str(home / "constraints.txt")], check=True, timeout=400)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, timeout=120)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CONNECTOR_", "PYTHON"))}
    environment |= {"XDG_DATA_HOME": str(home / "data"), "CONNECTOR_DATA_DIR": str(home / "data")}
    ports = ["--port", str(free_port()), "--sandbox-port", str(free_port())]
    done = subprocess.run(
        [str(home / "bin" / "connector"), "demo", "--once", *ports],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
