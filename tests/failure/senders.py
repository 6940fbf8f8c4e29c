"""The ways in: a CRM's workflow, agents, and people who take back, settle and back-fill. Each asks until it is told."""

import contextlib
import json
import random
import secrets
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from tests.failure.org import ERROR, OPTED_OUT, PHONE, STATUS
from tests.failure.stand import Stand

# What a case may be, beside one that is texted: never texted, whoever asks.
NEVER: dict[str, dict[str, Any]] = {
    "opted out": {OPTED_OUT: True},
    "closed": {"Status": "Closed"},
    "without a phone": {PHONE: None},
}
SORTS = {"plain": 70, "opted out": 4, "closed": 3, "without a phone": 3, "same number": 6, "taken back": 14}
# An answer to an event or a click that means: ask again.
AGAIN = (429, 503)


@dataclass
class Book:
    """What was acknowledged to those who asked, and what people did. Cases by their ids.

    `acknowledged`: since when each case is asked for, in monotonic seconds.
    """

    acknowledged: dict[str, float] = field(default_factory=dict)
    clicked: set[str] = field(default_factory=set)
    never: set[str] = field(default_factory=set)
    same_number: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    not_sent: set[str] = field(default_factory=set)
    texts: dict[int, str] = field(default_factory=dict)
    plans: dict[str, list[str]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def cases(self) -> set[str]:
        return self.acknowledged.keys() | {case for cases in self.plans.values() for case in cases}


class Senders:
    """Ask for texts. One per thread."""

    def __init__(self, stand: Stand, book: Book, chance: random.Random) -> None:
        self._stand, self._book, self._chance = stand, book, chance

    def work(self, done: Callable[[], bool], pause: float) -> None:
        """One case after the other, until it is over."""
        while not done():
            try:
                self._one(self._chance.choices(list(SORTS), list(SORTS.values()))[0])
            except Exception:  # noqa: BLE001 - told at the end, with everything else
                self._book.problems.append(f"a sender: {traceback.format_exc()}")
            time.sleep(self._chance.uniform(0, 2 * pause))

    def _one(self, sort: str) -> None:
        [case] = self._stand.witness.org.make_cases(1, **NEVER.get(sort, {}))
        channels = [self.trigger, self.trigger, self.click]
        if sort == "taken back":
            self._take_back(case, self._chance.choice(channels)(case))
            return
        if sort in NEVER:
            self._book.never.add(case)
        asked = [case]
        if sort == "same number":
            [other] = self._stand.witness.org.make_cases(1, **{PHONE: self._stand.witness.org.case(case)[PHONE]})
            self._book.same_number |= {case, other}
            asked.append(other)
        for one in asked:
            for channel in self._chance.sample(channels, self._chance.choice([1, 1, 2, 3])):
                channel(one)

    def trigger(self, case: str) -> int:
        """The workflow tells of a case; the id of its text."""
        name, asked = secrets.token_hex(8), time.monotonic()
        answer = self._until_acknowledged(lambda: self._stand.post_events(case, event_id=name), 202)
        text = int(answer.json()["texts"][0]["text"])
        self._book.acknowledged.setdefault(case, asked)
        self._book.texts[text] = case
        return text

    def click(self, case: str) -> int:
        """An agent asks for a text; its id."""
        key, asked = secrets.token_hex(8), time.monotonic()
        wait = self._chance.choice([0, 0, 1])
        answer = self._until_acknowledged(lambda: self._stand.click(case, key, wait), 200, 202)
        text = int(answer.json()["id"])
        self._book.acknowledged.setdefault(case, asked)
        self._book.clicked.add(case)
        self._book.texts[text] = case
        return text

    def _take_back(self, case: str, text: int) -> None:
        """Cancel a text a moment later; it may be too late."""
        time.sleep(self._chance.choice([0, 0.05, 0.5, 2]))
        answer = self._until_acknowledged(lambda: self._stand.api("DELETE", f"/texts/{text}"), 200, 409)
        if answer.status_code == 200:
            self._book.cancelled.add(case)

    def _until_acknowledged(self, ask: Callable[[], httpx.Response], *wanted: int) -> httpx.Response:
        while True:
            try:
                answer = ask()
            except httpx.TransportError as error:
                self._book.answers[type(error).__name__] += 1
            else:
                self._book.answers[str(answer.status_code)] += 1
                if answer.status_code in wanted:
                    return answer
                if answer.status_code not in AGAIN:
                    raise AssertionError(f"{answer.status_code}: {answer.text[:300]}")
            time.sleep(0.2)


class Operator:
    """Somebody at the command line: runs back-fills, pauses them, settles what is unknown."""

    def __init__(self, stand: Stand, book: Book, chance: random.Random) -> None:
        self._stand, self._book, self._chance = stand, book, chance
        self._asks = Senders(stand, book, chance)

    def plan(self) -> None:
        """Two back-fills, before anything breaks: one of ids, among them opted out ones, and one by a condition."""
        org = self._stand.witness.org
        assert self._stand.api_key, "the agents have a key"
        [suppressed] = org.make_cases(1)
        assert self._stand.run("suppress", "add", org.case(suppressed)[PHONE]).returncode == 0
        self._book.never.add(suppressed)
        self._asks.trigger(suppressed)
        listed, never = org.make_cases(50), org.make_cases(3, **NEVER["opted out"])
        found = org.make_cases(40, Status="Waiting on Customer")
        self._book.never |= set(never)
        self._book.plans[self._stand.plan(*listed, *never)] = [*listed, *never]
        self._book.plans[self._stand.plan(where="Status = 'Waiting on Customer'")] = found

    def work(self, done: Callable[[], bool]) -> None:
        """One thing after the other, until it is over."""
        for plan in self._book.plans:
            while not self._try(partial(self._stand.run_plan, plan)) and not done():
                time.sleep(1)
        things = [self._pause, self._resume, self._resume, self._settle, self._settle]
        while not done():
            self._try(self._chance.choice(things))
            time.sleep(self._chance.uniform(1, 3))

    def _try(self, what: Callable[[], object]) -> bool:
        """Whether it worked: the database may be away, and the operator sees that."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired, httpx.TransportError):
            what()
            return True
        return False

    def _pause(self) -> None:
        self._stand.run("backfill", "pause", self._chance.choice(list(self._book.plans)))

    def _resume(self) -> None:
        self._stand.run("backfill", "resume", self._chance.choice(list(self._book.plans)))

    def _settle(self) -> None:
        """Look for a chat with the customer of an unknown text, and say what was found. Ask again if there is none."""
        unknown = [case for case in sorted(self._book.acknowledged) if self._stand.says(case) == "Unknown"]
        if not unknown or any(worker.ways["sms"].stalled for worker in self._stand.workers):
            return
        case = self._chance.choice(unknown)
        calls = self._stand.witness.journal.of("sms", "text", case)
        listed = self._stand.run("texts", "list", "--ticket", case, "--state", "unknown", "--json")
        texts = [one["id"] for one in json.loads(listed.stdout)] if listed.returncode == 0 else []
        if not texts or any(call.over is None for call in calls):
            return
        chats = [call.chat for call in calls if call.chat]
        found = ["--sent", str(chats[0])] if chats else ["--not-sent"]
        settled = self._stand.run("texts", "resolve", str(texts[0]), *found).returncode == 0
        if settled and not chats:
            self._book.not_sent.add(case)
            if self._chance.random() < 0.5:
                self._stand.witness.org.change(case, **{STATUS: "Requested", ERROR: None})
                self._asks.trigger(case)

    def finish(self, end: float) -> None:
        """Let texts leave again, and every back-fill end before this time."""
        self._try(lambda: self._stand.run("resume"))
        left = list(self._book.plans)
        while left and time.monotonic() < end:
            for plan in list(left):
                state = self._state(plan)
                if state == "done":
                    left.remove(plan)
                elif state not in ("canary", "cooling", "running", "unknown"):
                    self._try(partial(self._stand.run_plan, plan))
        if left:
            self._book.problems.append(f"back-fills that were resumed and do not end: {left}")

    def _state(self, plan: str) -> str:
        shown = self._stand.run("backfill", "status", plan, "--json")
        with contextlib.suppress(ValueError):
            return str(json.loads(shown.stdout)["state"])
        return "unknown"
