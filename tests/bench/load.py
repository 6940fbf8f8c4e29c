"""Posts case events over kept connections, each connection one request at a time, and takes the times. A process of
its own, so that it does not compete with the one that measures.

    python -m tests.bench.load '{"url": "http://127.0.0.1:8080/hook", "events": 3000, …}'
"""

import asyncio
import dataclasses
import json
import statistics
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

from tests.bench.upstream import phone

XML = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound">
<OrganizationId>00D000000000001EAA</OrganizationId><ActionId>04k000000000001AAA</ActionId>
<SessionId xsi:nil="true"/>{notifications}</notifications></soapenv:Body></soapenv:Envelope>"""
NOTIFICATION = """<Notification><Id>04l{number:012d}AAA</Id>
<sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>{case}</sf:Id>
<sf:CaseNumber>{number:08d}</sf:CaseNumber><sf:ContactPhone>{phone}</sf:ContactPhone>
<sf:Status>Working</sf:Status><sf:Subject>Order {number}</sf:Subject></sObject></Notification>"""


@dataclasses.dataclass(frozen=True)
class Load:
    """`events` events from number `first` on. `batch` 0: one JSON event a request; else that many notifications."""

    url: str
    events: int
    first: int = 0
    connections: int = 16
    batch: int = 0
    authorization: str = ""


def case_id(number: int) -> str:
    """15 characters: a case of the bench's own."""
    return f"5006x{number:010d}"


def event(number: int) -> bytes:
    """One JSON event, which every stack understands."""
    mobile = phone(number)
    return json.dumps(
        {
            "Id": case_id(number),
            "event_id": f"bench-{number}",
            "CaseNumber": f"{number:08d}",
            "Status": "Working",
            "Subject": f"Order {number}",
            "ContactMobile": mobile,
            "ContactPhone": mobile,
        }
    ).encode()


def _xml(numbers: range) -> bytes:
    listed = (NOTIFICATION.format(number=number, case=case_id(number), phone=phone(number)) for number in numbers)
    return XML.format(notifications="".join(listed)).encode()


def _requests(load: Load) -> list[bytes]:
    """Every request, made beforehand: making them is not what is measured."""
    parts = urlsplit(load.url)
    numbers = range(load.first, load.first + load.events)
    kind = "text/xml; charset=utf-8" if load.batch else "application/json"
    bodies = (
        [_xml(numbers[start : start + load.batch]) for start in range(0, load.events, load.batch)]
        if load.batch
        else [event(number) for number in numbers]
    )
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {kind}\r\n"
    if load.authorization:
        head += f"Authorization: {load.authorization}\r\n"
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


async def _post(load: Load, requests: list[bytes], times: list[float], statuses: Counter[int]) -> None:
    parts = urlsplit(load.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for request in requests:
        start = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, found, rest = head.partition(b"content-length:")
        if found:
            await reader.readexactly(int(rest.split(b"\r\n")[0]))
        times.append(time.perf_counter() - start)
        statuses[int(head.split(b" ", 2)[1])] += 1
        if b"connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()


async def run(load: Load) -> dict[str, object]:
    """Post it all. The figures: times in milliseconds, `started` by the machine's clock."""
    requests = _requests(load)
    times: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.time()
    share = load.connections
    await asyncio.gather(*(_post(load, requests[lane::share], times, statuses) for lane in range(share)))
    seconds = time.time() - started
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    return {
        "started": started,
        "seconds": seconds,
        "events_per_s": load.events / seconds,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "statuses": dict(statuses),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Load(**json.loads(sys.argv[1]))))))
