"""Both remote sides, as fast as Python can: answers, counts, checks nothing. A process of its own.

    python -m tests.bench.upstream PORT [DELAY_SECONDS]

CCAI Platform's endpoint and as much of Salesforce's REST API as a text needs. `GET /_stats` tells what came and when,
`GET /_count` only how much, `GET /_reset` forgets it.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from typing import Any
from urllib.parse import unquote_plus

ID = re.compile(r"'([a-zA-Z0-9]{15,18})'")
FIELDS = ("CCAIP_SMS_Status__c", "CCAIP_Chat_Id__c", "CCAIP_Chat_Status__c", "CCAIP_SMS_Error__c")


class Counts:
    """What was asked for since the last reset. Times are seconds of the machine's clock."""

    def __init__(self) -> None:
        self.reads = self.writes = self.written = 0
        self.last_write = 0.0
        self.sms: list[float] = []
        self.arrived: dict[str, float] = {}
        self.doubled = 0

    def text(self, ticket: str) -> None:
        now = time.time()
        self.sms.append(now)
        self.doubled += ticket in self.arrived
        self.arrived.setdefault(ticket, now)

    def write(self, records: int) -> None:
        self.writes += 1
        self.written += records
        self.last_write = time.time()


class Upstream:
    """Answers requests; each answer is given `delay` seconds after its request."""

    def __init__(self, port: int, delay: float) -> None:
        self.url, self.delay = f"http://127.0.0.1:{port}", delay
        self.counts = Counts()
        self._chats = itertools.count(1000)

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """What to answer, as JSON; None is 204."""
        if path == "/apps/api/v1/sms":
            self.counts.text(json.loads(body).get("ticket_id", ""))
            return {"id": next(self._chats), "status": "selecting", "agent_info": None}
        if "/query" in path:
            self.counts.reads += 1
            found = [_case(identifier) for identifier in ID.findall(unquote_plus(path))]
            return {"totalSize": len(found), "done": True, "records": found}
        if method == "PATCH":
            return self._write(path, body)
        if path.startswith("/services/oauth2/token"):
            return {
                "access_token": "bench",
                "instance_url": self.url,
                "token_type": "Bearer",
                "id": f"{self.url}/id/00D000000000001EAA/005000000000001AAA",
            }
        if path.endswith("/describe"):
            return {"name": "Case", "fields": [{"name": name, "length": 255, "type": "string"} for name in FIELDS]}
        if path == "/_stats":
            return vars(self.counts) | {"arrived": self.counts.arrived}
        if path == "/_count":
            return {"sms": len(self.counts.sms), "written": self.counts.written}
        if path == "/_reset":
            self.counts = Counts()
        return {}

    def _write(self, path: str, body: bytes) -> Any:
        if "/composite/sobjects" not in path:
            self.counts.write(1)
            return None
        records = json.loads(body)["records"]
        self.counts.write(len(records))
        return [{"id": record["id"], "success": True, "errors": []} for record in records]


def _case(identifier: str) -> dict[str, Any]:
    """A case that asks for a text, with a number of its own."""
    number = int(re.sub(r"\D", "", identifier[5:15]) or 0)
    contact = {
        "FirstName": "Ada",
        "Name": "Ada Vale",
        "MobilePhone": phone(number),
        "Phone": None,
        "MailingCountryCode": "US",
        "MailingStateCode": None,
        "CCAIP_SMS_Opt_Out__c": False,
        "CCAIP_Phone_Invalid__c": False,
    }
    return {
        "attributes": {"type": "Case"},
        "Id": identifier,
        "CaseNumber": f"{number:08d}",
        "Status": "Working",
        "CCAIP_SMS_Status__c": "Requested",
        "CCAIP_SMS_Requested_At__c": "2026-01-01T00:00:00.000+0000",
        "Contact": contact,
        "SuppliedPhone": None,
    }


def phone(number: int) -> str:
    """A valid number of the United States, another one for each of the first eight million."""
    return f"+1415{2_000_000 + number % 7_999_999:07d}"


class Connection(asyncio.Protocol):
    """One kept connection: requests with a Content-Length, answered in their order."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream, self._buffer = upstream, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            self._write(path, self._upstream.answer(method, path, body))

    def _write(self, path: str, answer: Any) -> None:
        if answer is None:
            message = b"HTTP/1.1 204 No Content\r\n\r\n"
        else:
            content = json.dumps(answer).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            message = head.encode() + content
        if self._upstream.delay and not path.startswith("/_"):
            asyncio.get_running_loop().call_later(self._upstream.delay, self._transport.write, message)
        else:
            self._transport.write(message)


async def serve(port: int, delay: float) -> None:
    upstream = Upstream(port, delay)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(upstream), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0))
