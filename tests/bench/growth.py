"""What grows: how much memory is used, with the texts that were sent."""

import time
from functools import partial

from tests.bench import stack
from tests.bench.figures import Memory
from tests.bench.place import Place
from tests.bench.running import Failed, wait_for
from tests.bench.scenarios import BATCH, LOOK, PATIENCE, once_each
from tests.bench.stack import Stack, Upstream

# Events that are posted at once while memory is measured; the next come when half of them are through.
PIECE = 2000
SAMPLE_SECONDS = 1.0

Sample = tuple[int, float, float]


def memory(place: Place, _: str = "connector") -> Memory:
    """Many texts, and how much the web process and the worker keep of them."""
    texts = place.sizes.memory
    with place.connector() as (one, there, _):
        samples = _sampled(one, there, texts)
        once_each(there.stats())
    early = next(sample for sample in samples if sample[0] >= texts / 4)
    last = samples[-1]
    return Memory(
        texts=texts,
        samples=samples,
        web_max_mb=max(web for _, web, _ in samples),
        web_growth_mb=last[1] - early[1],
        worker_max_mb=max(worker for _, _, worker in samples),
        worker_growth_mb=last[2] - early[2],
    )


def _sampled(one: Stack, there: Upstream, texts: int) -> list[Sample]:
    """Post so many events in pieces. About each second: texts so far, megabytes of web process and worker."""
    samples: list[Sample] = []
    due = 0.0

    def left(count: int) -> bool:
        nonlocal due
        sms = there.count()["sms"]
        if time.monotonic() >= due or sms >= texts:
            due = time.monotonic() + SAMPLE_SECONDS
            used = one.memory()
            if not used.keys() >= {"web", "worker"}:
                raise Failed("a process of the connector has ended")
            samples.append((sms, used["web"], used["worker"]))
        return sms >= count

    piece = min(PIECE, max(texts // 10, 1))
    for first in range(0, texts, piece):
        stack.post(one.load(min(piece, texts - first), first, batch=BATCH))
        wait_for(partial(left, first + piece // 2), f"{first} texts", PATIENCE, LOOK)
    wait_for(lambda: left(texts), f"{texts} texts", PATIENCE, LOOK)
    return samples
