"""Stands for the scenarios: one that the quick ones share, and others that take their time beside it."""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.conftest import created
from tests.failure.stand import Stand, stand
from tests.support.pipe import wait_for

NUMBERS = itertools.count()
# How many scenarios that mostly wait run at once: idle processes cost little, but starting them does.
AT_ONCE = 3

MakeStand = Callable[..., AbstractContextManager[Stand]]


@pytest.fixture(scope="session")
def make_stand(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> MakeStand:
    """A stand with a database of its own: make_stand(workers=1, ccaip_requests_per_second="10")."""

    @contextmanager
    def make(workers: int = 2, logs: Path | None = None, **more: str) -> Iterator[Stand]:
        name = f"connector_failure_{os.getpid()}_{next(NUMBERS)}"
        folder = logs or tmp_path_factory.mktemp("stand")
        with created(server, name, template) as url, stand(server, url, folder, workers, **more) as made:
            yield made

    return make


@pytest.fixture(scope="module")
def shared(make_stand: MakeStand) -> Iterator[Stand]:
    """A stand with two workers for all scenarios that do not take long."""
    with make_stand() as made:
        yield made


@pytest.fixture
def well(shared: Stand) -> Iterator[Stand]:
    """The shared stand. Whatever a scenario has broken is mended after it."""
    wait_for(shared.ready, "the web process is ready")
    yield shared
    shared.heal()


class Ahead:
    """Scenarios that begin before their tests do, because they mostly wait."""

    def __init__(self, wanted: list[Callable[[MakeStand], None]], make_stand: MakeStand) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._begun: dict[Callable[[MakeStand], None], Future[None]] = {
            scenario: self._pool.submit(scenario, make_stand) for scenario in wanted
        }

    def result(self, scenario: Callable[[MakeStand], None]) -> None:
        """Wait until it has ended. Raises what it raised."""
        self._begun[scenario].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def ahead(request: pytest.FixtureRequest, make_stand: MakeStand) -> Iterator[Ahead]:
    """The scenarios of those of this module's tests that are run and marked with one."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    here = [one.function for one in functions if one.module is request.module]
    begun = Ahead([one.scenario for one in here if hasattr(one, "scenario")], make_stand)
    yield begun
    begun.close()
