"""Faults from outside: real processes between an independent witness and a real database, and what must hold then."""

import pytest

pytest.register_assert_rewrite(*(f"tests.failure.{name}" for name in ("slow", "clocks", "embedded", "truth", "stand")))
