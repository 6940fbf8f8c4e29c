"""The overrides fit the library: a new version with other signatures is found here, and not by a worker."""

import inspect
from collections.abc import Callable

import pytest
from pgqueuer.db import PsycopgDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

# What each overridden method is called with, as the overrides were written.
EXPECTED: dict[Callable[..., object], tuple[str, ...]] = {
    Queries.dequeue: (
        "batch_size",
        "entrypoints",
        "queue_manager_id",
        "global_concurrency_limit",
        "heartbeat_timeout",
    ),
    Queries.log_jobs: ("job_status",),
    Queries.retry_job: ("job", "delay", "traceback_record"),
    Queries.update_heartbeat: ("job_ids",),
    QueueManager.entrypoints_below_capacity_limits: (),
    PsycopgDriver.fetch: ("query", "args"),
    PsycopgDriver.execute: ("query", "args"),
}


@pytest.mark.parametrize("method", EXPECTED, ids=lambda method: method.__qualname__)
def test_overridden_methods_have_the_parameters_they_were_overridden_for(method: Callable[..., object]) -> None:
    _, *parameters = inspect.signature(method).parameters

    assert tuple(parameters) == EXPECTED[method]
