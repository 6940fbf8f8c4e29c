"""What goes wrong in a random run. Each trouble begins, says for how many seconds it lasts, and ends by itself."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.failure.faults import Hold, Reply
from tests.failure.org import EXPIRED, error
from tests.failure.processes import Command
from tests.failure.proxy import FROM, TO
from tests.failure.stand import Stand
from tests.failure.texting import refusal

# Seconds between the end of a process and its next start, as a service manager has it.
RESTART = 1.0
PAGE = "<html><h1>Not now</h1></html>"

Trouble = Iterator[float]


def freeze(stand: Stand, chance: random.Random, worker: Command) -> Trouble:
    worker.freeze()
    yield chance.choice([1.0, 4.0, 18.0, 34.0])
    worker.thaw()


def kill(stand: Stand, chance: random.Random, process: Command) -> Trouble:
    process.kill()
    yield RESTART
    process.start()


def set_the_clock_ahead(stand: Stand, chance: random.Random, worker: Command) -> Trouble:
    worker.kill()
    worker.shift(chance.choice(["+3600s", "+90000s"]))
    worker.start()
    yield 15.0
    worker.kill()
    worker.shift("")
    worker.start()


def cut(way: str) -> Callable[[Stand, random.Random, Command], Trouble]:
    """This way of a worker is cut."""

    def trouble(stand: Stand, chance: random.Random, worker: Command) -> Trouble:
        with stand.disturbances.during(f"{way} cut", worker.name):
            worker.ways[way].cut()
            yield chance.choice([0.2, 3.0, 12.0, 33.0] if way == "database" else [0.2, 3.0])
            worker.ways[way].mend()

    return trouble


def stall(way: str) -> Callable[[Stand, random.Random, Command], Trouble]:
    """Nothing passes on this way of a worker for a while, and then everything."""

    def trouble(stand: Stand, chance: random.Random, worker: Command) -> Trouble:
        with stand.disturbances.during(f"{way} stalled", worker.name):
            worker.ways[way].stall(*chance.choice([(TO,), (FROM,), (TO, FROM)]))
            yield chance.choice([1.0, 6.0, 13.0])
            worker.ways[way].flow()

    return trouble


def make_read_only(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    with stand.database.read_only():
        yield chance.uniform(1, 8)


def close(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    with stand.database.closed():
        yield chance.uniform(1, 5)


def end_sessions(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    stand.database.end_sessions()
    yield 0.0


def refuse_reads(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    """Salesforce refuses everybody, in one of the ways that it has."""
    ways: list[dict[str, Any]] = [
        {"kind": "read", "reply": error(400, "INVALID_FIELD", "No such column")},
        {"kind": "read", "reply": error(403, "API_DISABLED_FOR_ORG")},
        {"kind": "", "reply": Reply(404, PAGE)},
        {"kind": "token", "reply": Reply(401, {"error": "invalid_client"})},
        {"kind": "", "reply": Reply(503, PAGE)},
        {"kind": "write", "reply": EXPIRED, "times": 2},
    ]
    way = chance.choice(ways)
    if way["kind"] == "token":
        stand.witness.org.expire()
    with stand.witness.faults.during(side="crm", **way):
        yield chance.uniform(1, 5)


def answer_by_pages(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    with stand.witness.faults.during(side="crm", pages=chance.choice([1, 2, 5])):
        yield 5.0


def read_slowly(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    with stand.witness.faults.during(kind="read", hold=Hold(3)):
        yield 5.0


def stumble(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    """One or a few requests to Salesforce go wrong."""
    ways: list[dict[str, Any]] = [
        {"kind": "write", "cut": "after"},
        {"kind": "read", "cut": "before"},
        {"kind": "read", "reply": Reply(200, PAGE)},
        {"kind": "write", "refuse": ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access"), "times": 2},
        {"kind": "write", "refuse": ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "a rule says no")},
    ]
    stand.witness.faults.add(side="crm", **chance.choice(ways))
    if chance.random() < 0.3:
        stand.witness.org.expire()
    yield 0.0


def stop_the_platform(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    """The tenant's setting is wrong for a while, or a page is answered to everybody."""
    reply = chance.choice([refusal("SMS is not enabled"), Reply(403, PAGE), Reply(401, {"message": "Unauthorized"})])
    with stand.witness.faults.during(side="sms", reply=reply):
        yield 2.0


def garble_a_call(stand: Stand, chance: random.Random, _: Command) -> Trouble:
    """One or a few calls of the SMS endpoint go wrong."""
    ways: list[dict[str, Any]] = [
        {"cut": "after"},
        {"cut": "before"},
        {"late": Hold(7)},
        {"late": Hold(1), "times": 5},
        {"reply": Reply(200, {"status": "selecting"})},
        {"reply": Reply(502, PAGE)},
        {"reply": refusal("Too many requests", 429, Retry_After="1"), "times": 3},
        {"reply": Reply(408, PAGE)},
        {"reply": refusal("end_user_number is invalid")},
        {"reply": Reply(403, PAGE)},
    ]
    stand.witness.faults.add(side="sms", kind="text", **chance.choice(ways))
    yield 0.0


# Each trouble, how often it is taken, and whom it is done to: while one lasts, nothing else is done to them.
TROUBLES: dict[str, tuple[Callable[..., Trouble], int, str]] = {
    "freeze": (freeze, 4, "worker"),
    "kill": (kill, 4, "worker"),
    "clock ahead": (set_the_clock_ahead, 2, "worker"),
    "kill web": (kill, 2, "serve"),
    "cut database": (cut("database"), 4, "worker"),
    "stall database": (stall("database"), 4, "worker"),
    "cut sms": (cut("sms"), 2, "worker"),
    "stall sms": (stall("sms"), 3, "worker"),
    "cut crm": (cut("crm"), 2, "worker"),
    "stall crm": (stall("crm"), 2, "worker"),
    "read-only": (make_read_only, 3, "database"),
    "closed": (close, 2, "database"),
    "sessions ended": (end_sessions, 3, "database"),
    "crm refuses": (refuse_reads, 6, "crm"),
    "crm pages": (answer_by_pages, 4, "crm"),
    "crm slow": (read_slowly, 3, "crm"),
    "crm stumbles": (stumble, 8, "nobody"),
    "platform stopped": (stop_the_platform, 2, "platform"),
    "a call goes wrong": (garble_a_call, 16, "nobody"),
}


class Chaos:
    """Lets one trouble after the other begin, and end."""

    def __init__(self, stand: Stand, chance: random.Random) -> None:
        self._stand, self._chance = stand, chance
        self._under_way: list[tuple[float, str, Trouble]] = []
        self.count: Counter[str] = Counter()
        self.problems: list[str] = []

    def work(self, seconds: float) -> None:
        """So long. What is under way then ends."""
        end = time.monotonic() + seconds
        following = time.monotonic()
        while time.monotonic() < end:
            if time.monotonic() >= following:
                self._begin(*self._choose())
                following = time.monotonic() + self._chance.uniform(0.1, 0.9)
            self._end(time.monotonic())
            self.restart()
            time.sleep(0.05)
        self._end(float("inf"))

    def _choose(self) -> tuple[str, str]:
        """A trouble, and whom it is done to."""
        name = self._chance.choices(list(TROUBLES), [weight for _, weight, _ in TROUBLES.values()])[0]
        whom = TROUBLES[name][2]
        return name, self._chance.choice(self._stand.workers).name if whom == "worker" else whom

    def _begin(self, name: str, whom: str) -> None:
        if whom != "nobody" and any(whom == other for _, other, _ in self._under_way):
            return
        commands = {command.name: command for command in (self._stand.web_side, *self._stand.workers)}
        trouble = TROUBLES[name][0](self._stand, self._chance, commands.get(whom))
        self.count[name] += 1
        self._under_way.append((time.monotonic() + next(trouble), whom, trouble))

    def _end(self, now: float) -> None:
        for one in [one for one in self._under_way if one[0] <= now]:
            self._under_way.remove(one)
            next(one[2], None)

    def restart(self) -> None:
        """Start again what has ended by itself, such as a process that was started while there was no database."""
        busy = {whom for _, whom, _ in self._under_way}
        for command in (self._stand.web_side, *self._stand.workers):
            if not command.lives and command.name not in busy:
                if "worker ready" in command.said():
                    self.problems.append(f"{command.name} has ended by itself: {command.said()[-500:]}")
                with self._stand.disturbances.during("ended", command.name):
                    command.start()
