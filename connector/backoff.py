"""Delays before a retry. Jitter keeps calls that failed together from being retried together."""

import random

# Limit of the exponent: every delay is at its maximum by then. Write-backs can fail more often than a float can double.
MAX_DOUBLINGS = 60


def jittered(seconds: float) -> float:
    """Return the duration, varied at random by up to a quarter."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def doubling(attempts: int, first: float, longest: float) -> float:
    """Return the delay in seconds: `first`, doubled for each failed attempt, at most `longest`; then jittered."""
    return jittered(min(first * 2 ** min(attempts, MAX_DOUBLINGS), longest))
