"""Everything at once, by chance: every channel, people, and whatever can break. Seeded, and as long as wanted:

    CONNECTOR_TEST_FAILURE_SECONDS=3600 CONNECTOR_TEST_SEED=7 make test ARGS="tests/failure/test_random_runs.py -s"

In the end everything is mended. Then all that was acknowledged has to be settled, and what customers received has to
be what the cases say.
"""

import os
import random
import re
import time
from collections import Counter
from pathlib import Path
from threading import Thread

import pytest

from tests.failure import truth
from tests.failure.chaos import Chaos
from tests.failure.conftest import MakeStand
from tests.failure.org import CHAT, ERROR, STATUS
from tests.failure.senders import Book, Operator, Senders
from tests.failure.stand import Stand

SECONDS = float(os.environ.get("CONNECTOR_TEST_FAILURE_SECONDS", "45"))
SEED = int(os.environ.get("CONNECTOR_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
# How long it may take until all is settled, once nothing is wrong any more.
PATIENCE = 150.0
SENDERS, PAUSE = 3, 0.25
SETTINGS = {
    "trial_without": "hours",
    "ccaip_requests_per_second": "0" if SEED % 3 else "30",
    "ccaip_read_timeout": str(truth.READ_TIMEOUT),
    "salesforce_read_timeout": "5",
}


def by_chance(stand: Stand, book: Book) -> Chaos:
    """Let senders, people and troubles do their work at the same time; afterwards nothing is wrong any more."""
    chances = [random.Random(SEED + number) for number in range(SENDERS + 2)]  # noqa: S311 - no secret
    operator, chaos = Operator(stand, book, chances[0]), Chaos(stand, chances[1])
    operator.plan()
    end = time.monotonic() + SECONDS

    def done() -> bool:
        return time.monotonic() > end

    threads = [Thread(target=operator.work, args=[done])]
    threads += [Thread(target=Senders(stand, book, chance).work, args=[done, PAUSE]) for chance in chances[2:]]
    for thread in threads:
        thread.start()
    try:
        chaos.work(SECONDS)
    finally:
        stand.heal()
        for thread in threads:
            thread.join()
    settle(stand, book, operator, chaos)
    return chaos


def settle(stand: Stand, book: Book, operator: Operator, chaos: Chaos) -> None:
    """Wait until there is nothing left to do, or it has taken too long."""
    begin = time.monotonic()
    end = begin + PATIENCE
    chaos.restart()
    operator.finish(end)
    while stand.database.waiting() and time.monotonic() < end:
        chaos.restart()
        time.sleep(0.5)
    if stand.database.waiting():
        book.problems.append(f"not settled {PATIENCE:.0f} s after everything was mended")
        for case in stand.database.unfinished():
            book.problems.append(f"--- {case}\n{truth.story(stand, case)}")
    print(f"settled in {time.monotonic() - begin:.0f} s")


def why(stand: Stand, book: Book) -> Counter[str]:
    """What the cases say that were not texted, with digits left out."""
    cases = [stand.witness.org.case(case) for case in book.cases]
    return Counter(f"{case[STATUS]}: {re.sub('[0-9]+', '…', str(case.get(ERROR)))}" for case in cases if not case[CHAT])


def tell(stand: Stand, found: dict[str, list[tuple[str, str]]]) -> None:
    """Print what is wrong, and of each kind two stories."""
    for check, wrong in found.items():
        print(f"\n=== {check}: {len(wrong)}", *(f"{case} {what}" for case, what in wrong[:20]), sep="\n")
        for case, _ in wrong[:2]:
            print(f"--- {case}\n{truth.story(stand, case)}")


# A connection that a proxy has cut may be collected before it is closed: that is the rig's, not the connector's.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_lost_doubled_or_told_wrongly_whatever_breaks(make_stand: MakeStand, tmp_path: Path) -> None:
    """The promises hold, by the word of an independent witness."""
    print(f"\nseed {SEED}, {SECONDS:.0f} s, logs in {tmp_path}")
    book = Book()
    with make_stand(logs=tmp_path, **SETTINGS) as stand:
        chaos = by_chance(stand, book)
        found = truth.violations(stand, book)
        said = Counter(stand.says(case) for case in book.cases)
        print(f"{len(book.cases)} cases, {len(stand.witness.journal.texts())} texts; the cases say {dict(said)}")
        print(f"why: {why(stand, book).most_common(12)}")
        print(f"senders: {dict(book.answers)}; troubles: {dict(chaos.count)}")
        problems = book.problems + chaos.problems
        print(*problems, sep="\n")
        tell(stand, found)
        stopped, told = stand.stop(), stand.indiscretions()

    assert {check: len(wrong) for check, wrong in found.items()} == {}
    assert len(problems) == 0
    assert set(stopped.values()) == {0}, stopped
    assert told == []
    assert said["Sent"] > 20
