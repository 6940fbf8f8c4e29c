"""An independent witness: both remote sides, and a journal of every request. Shares no code with what it watches.

Each process under test has an address of its own here, so that the journal knows who asked.
"""

import contextlib
import json
import re
import secrets
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.failure.faults import Fault, Faults, Reply
from tests.failure.journal import Entry, Journal, Request
from tests.failure.org import EXPIRED, IDS, Org, error
from tests.failure.texting import PATH, Texting

TOKEN = "/services/oauth2/token"
REST = re.compile(r"(?P<base>/services/data/v\d+\.\d)/(?P<what>.*?)/?")
DAY = 100_000
# A client that says nothing on an open connection is let go after so many seconds.
IDLE_SECONDS = 120.0

Address = tuple[str, int]


class Witness:
    """Plays both remote sides until it is closed."""

    def __init__(self) -> None:
        self.journal, self.faults = Journal(), Faults()
        self.org, self.texting = Org(), Texting()
        self.key = secrets.token_hex(24)  # with which the org tells of its cases
        self.errors: list[str] = []
        self._servers: list[_Server] = []

    def listen(self, via: str) -> Address:
        """An address of both remote sides. What comes in by it is said to come from `via`."""
        server = _Server(self, via)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name=f"witness {via}").start()
        return "127.0.0.1", server.server_address[1]

    def close(self) -> None:
        """End everything, what waits included."""
        self.faults.clear()
        for server in self._servers:
            server.shutdown()
            server.end()
            server.server_close()

    def act(self, request: Request, entry: Entry, fault: Fault, authorization: str, form: Any) -> Reply:
        """Do what a request asks for, and note it."""
        if request.side == "sms":
            reply, entry.chat = self.texting.answer(request.body, authorization)
            return reply
        if request.kind == "token":
            return self.org.token(form, f"http://{request.via}")
        if not self.org.knows(authorization):
            return EXPIRED
        reply, entry.taken = self._of_org(request, fault)
        return reply

    def _of_org(self, request: Request, fault: Fault) -> tuple[Reply, tuple[str, ...]]:
        base, what = _rest(request.path)
        if request.kind == "write":
            return self.org.write(request.body["records"], fault.refuse, list(fault.tickets))
        if request.kind == "read":
            return self.org.query(request.message, fault.pages, base), ()
        if request.kind == "page":
            return self.org.page(what.rpartition("/")[2], fault.pages, base), ()
        if request.kind == "describe":
            return self.org.describe(what.split("/")[1]), ()
        if request.kind == "limits":
            return Reply(200, {"DailyApiRequests": {"Max": DAY, "Remaining": DAY - self.org.calls}}), ()
        return error(404, "NOT_FOUND", "The requested resource does not exist"), ()


def _rest(path: str) -> tuple[str, str]:
    found = REST.fullmatch(urlsplit(path).path)
    return (found["base"], found["what"]) if found else ("", "")


def understood(via: str, method: str, path: str, body: Any) -> Request:
    """What a request is about."""
    parts = urlsplit(path)
    if parts.path == PATH and method == "POST":
        sms = body if isinstance(body, dict) else {}
        tickets: tuple[str, ...] = (str(sms["ticket_id"]),) if sms.get("ticket_id") else ()
        kind = "text" if sms.get("message") else "probe"
        number, message = str(sms.get("end_user_number") or ""), str(sms.get("message") or "")
        return Request(via, "sms", kind, method, path, body, tickets, number, message)
    if parts.path == TOKEN:
        return Request(via, "crm", "token", method, TOKEN)
    _, what = _rest(path)
    if what == "composite/sobjects" and method == "PATCH":
        fields = {
            str(one["id"]): {name: value for name, value in one.items() if name not in ("id", "attributes")}
            for one in body["records"]
        }
        return Request(via, "crm", "write", method, path, body, tuple(fields), fields=fields)
    if what in ("query", "queryAll"):
        soql = parse_qs(parts.query).get("q", [""])[0]
        listed = IDS.search(soql)
        tickets = tuple(one.strip(" '") for one in listed["ids"].split(",")) if listed else ()
        return Request(via, "crm", "read", method, path, tickets=tickets, message=soql)
    kind = "page" if what.startswith("query/") else "describe" if what.endswith("/describe") else "other"
    return Request(via, "crm", "limits" if what == "limits" else kind, method, path, body)


class _Server(ThreadingHTTPServer):
    """One address of the witness."""

    daemon_threads, block_on_close, request_queue_size = True, False, 256

    def __init__(self, witness: Witness, via: str) -> None:
        self.witness, self.via = witness, via
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._open.discard(request)

    def end(self) -> None:
        """End every connection."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        import traceback

        self.witness.errors.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    """One connection to the witness."""

    protocol_version, wbufsize, timeout, disable_nagle_algorithm = "HTTP/1.1", -1, IDLE_SECONDS, True
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def do_POST(self) -> None:
        witness, content = self.server.witness, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = {name: values[0] for name, values in parse_qs(content.decode()).items()} if self._is_form() else {}
        body = json.loads(content) if content and not form else None
        request = understood(self.server.via, self.command, unquote(self.path) if form else self.path, body)
        entry = witness.journal.begin(request)
        try:
            self._answer(request, entry, witness.faults.take(request), form)
        finally:
            entry.over = time.monotonic()

    do_GET = do_PATCH = do_DELETE = do_POST

    def _is_form(self) -> bool:
        return "form-urlencoded" in self.headers.get("Content-Type", "")

    def _answer(self, request: Request, entry: Entry, fault: Fault, form: Any) -> None:
        if fault.hold:
            fault.hold.wait()
        if fault.cut == "before":
            self._cut(entry, "before")
            return
        authorization = self.headers.get("Authorization", "")
        reply = fault.reply or self.server.witness.act(request, entry, fault, authorization, form)
        if fault.late:
            fault.late.wait()
        if fault.cut:
            self._cut(entry, "after")
            return
        entry.status, entry.answer = reply.status, reply.body
        self._write(entry, reply)

    def _write(self, entry: Entry, reply: Reply) -> None:
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        kind = "text/html" if isinstance(reply.body, str) else "application/json"
        calls = self.server.witness.org.calls
        headers = {"Content-Type": kind, "Sforce-Limit-Info": f"api-usage={calls}/{DAY}", **reply.headers}
        try:
            self.send_response(reply.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())
            self.wfile.flush()
        except OSError:
            entry.cut, self.close_connection = "gone", True
        else:
            entry.answered = time.monotonic()

    def _cut(self, entry: Entry, when: str) -> None:
        entry.cut, self.close_connection = when, True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """The journal is the log."""
