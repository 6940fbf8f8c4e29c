"""Delivery by itself: a real database and queue's jobs, and a platform whose answers a test lays down."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from psycopg_pool import ConnectionPool

from connector import database, lane, pace, queue, upkeep
from connector.delivery import Delivery
from connector.model import Chat, OutboundSms, Ticket
from connector.pace import Pace
from connector.sending import Sender
from connector.verdicts import Verdicts


class Tickets:
    """A CRM in which every ticket is there and asks for a text. Its mapping decides by `decide`."""

    def is_own(self, user: str | None) -> bool:
        return False

    def read(self, ids: Sequence[str]) -> Mapping[str, Ticket]:
        return {identifier: Ticket("salesforce", identifier, {}) for identifier in ids}


class Remote:
    """The platform: `answer` is asked for each text, and gives a chat or raises. `sent` is what it was asked for."""

    def __init__(self, pool: ConnectionPool, answer: Callable[[OutboundSms], Chat] | None = None) -> None:
        self.pool, self.sent = pool, list[OutboundSms]()
        self.answer = answer or (lambda _: Chat(id=114, status="selecting"))

    def send_when(self, sms: OutboundSms, may_leave: Callable[[], None]) -> Chat:
        may_leave()
        self.sent.append(sms)
        return self.answer(sms)

    def deliver(
        self, *texts: int, decide: Callable[[Ticket], object] | None = None, per_second: float = 0,
        busy_seconds: float = 60, try_unknown_again: bool = False,
    ) -> float | None:
        """Deliver these texts as a worker does; for how many seconds they have to wait, if they have."""

        class Mapping:
            def decide(self, ticket: Ticket) -> object:
                assert decide
                return decide(ticket)

        async def run() -> float | None:
            with ThreadPoolExecutor(4) as threads, ThreadPoolExecutor(4) as send_threads:
                ask = database.Asking(self.pool, threads)
                rates = pace.Rates.of(per_second or 1, 1)

                async def reserve(count: int, batch: bool, instead_of: float | None) -> list[pace.Slot]:
                    return await ask(pace.reserve, rates, count, batch, instead_of)

                sender = Sender(self.pool, self, Pace(per_second, reserve), threads, send_threads, 4)
                verdicts = Verdicts(
                    lambda why: ask(upkeep.stop, why), lambda seconds: ask(lane.hold, seconds),
                    busy_seconds, try_unknown_again,
                )
                delivery = Delivery(self.pool, {"salesforce": (Tickets(), Mapping())}, sender, verdicts, threads)
                try:
                    await delivery.deliver(texts)
                except queue.Later as later:
                    return later.seconds
                return None

        return asyncio.run(run())
