"""The command `connector`, in a process of its own.

Most calls are forks of a process that has loaded the command's modules, because to load them takes most of the time of
a short command. What depends on how Python itself starts, and what starts processes, runs from the beginning.
"""

import io
import multiprocessing
import os
import pkgutil
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector import cli

LOADED = [
    *(f"connector.cli.{module.name}" for module in pkgutil.iter_modules(cli.__path__)),
    *("connector.bootstrap", "connector.backfill.library", "connector.backfill.operations", "connector.oidc.provider"),
    *("connector.dry_run.decide_again", "connector.crms.salesforce", "webhooks.crm_hooks"),
]
# They start processes, or are about the moment of starting.
FROM_THE_BEGINNING = ("run", "demo", "serve", "worker", "sandbox", "psql")
OF_PYTHON, ENCODING = ("PYTHON", "LANG", "LC_"), "PYTHONIOENCODING"
PATIENCE = 120

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(LOADED)


def connector(*arguments: str, folder: Path | str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, with no settings but these, in this working folder, and with nothing on its standard input."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CONNECTOR_")}
    return run(arguments, clean | variables, folder)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path | str | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command with this environment. `given`: its standard input. Raises subprocess.TimeoutExpired."""
    changed = {name for name in environment if environment[name] != os.environ.get(name)} - {ENCODING}
    if (arguments[:1] and arguments[0] in FROM_THE_BEGINNING) or any(name.startswith(OF_PYTHON) for name in changed):
        return started(arguments, environment, folder, given)
    encoding = environment.get(ENCODING, "utf-8").partition(":")[0]
    with tempfile.TemporaryDirectory() as streams:
        paths = [Path(streams, name) for name in ("in", "out", "err")]
        paths[0].write_text(given, encoding)
        process = forks.Process(target=_run, args=(arguments, dict(environment), folder or os.getcwd(), paths))
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), PATIENCE)
        out, err = (path.read_text(encoding) for path in paths[1:])
        return subprocess.CompletedProcess(list(arguments), process.exitcode, out, err)


def started(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | str | None = None,
    given: str = "",
    patience: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """The command, from the beginning, with this environment. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        [sys.executable, "-m", "connector", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
        input=given,
        cwd=folder,
    )


def _run(arguments: Sequence[str], environment: dict[str, str], folder: Path | str, paths: list[Path]) -> None:
    """In the fork: what Python does when it starts, then the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (path, flags) in enumerate(zip(paths, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)):
        os.dup2(os.open(path, flags), number)
    encoding, _, errors = environment.get(ENCODING, "utf-8").partition(":")
    sys.stdin = _stream(0, encoding, errors or "strict")
    sys.stdout = _stream(1, encoding, errors or "strict")
    sys.stderr = _stream(2, encoding, "backslashreplace")
    sys.argv = ["connector", *arguments]
    runpy.run_module("connector", run_name="__main__", alter_sys=True)


def _stream(number: int, encoding: str, errors: str) -> io.TextIOWrapper:
    mode = "r" if number == 0 else "w"
    file = io.FileIO(number, mode, closefd=False)
    return io.TextIOWrapper(io.BufferedReader(file) if mode == "r" else io.BufferedWriter(file), encoding, errors)
