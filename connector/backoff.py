"""How long to wait before trying again: with jitter, so that what failed together does not come back together."""

import random

# After so many doublings every pause is at its longest; a write-back may fail far oftener than a float can double.
MAX_DOUBLINGS = 60


def jittered(seconds: float) -> float:
    """The same, give or take a quarter."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def doubling(attempts: int, first: float, longest: float) -> float:
    """Seconds after so many failed attempts: from `first`, twice as long each time, to `longest`; jittered."""
    return jittered(min(first * 2 ** min(attempts, MAX_DOUBLINGS), longest))
