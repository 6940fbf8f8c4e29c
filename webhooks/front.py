"""Flask behind Granian's asynchronous side (RSGI). A request is read whole before a view of ours begins.

A message at the doors waits for its commit without a thread of its own: it is parsed at once, and what arrives in the
meantime too. Whatever else there is may wait for the database or a CRM, and gets a thread.
https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md
"""

import asyncio
import io
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from flask import Flask, Response
from granian.rsgi import HTTPProtocol, ProtocolClosed, ProtocolError, Scope

from webhooks.receive import PREFIX, Acknowledgement

log = structlog.get_logger()

Environ = Mapping[str, Any]
Answer = tuple[int, list[tuple[str, str]], bytes]


class Front:
    """One per web process. `threads`: how many requests may wait for something other than a commit; `patience`: the
    seconds within which a request has to arrive whole.
    """

    def __init__(self, app: Flask, threads: int, patience: float) -> None:
        self._app, self._patience = app, patience
        self._threads = ThreadPoolExecutor(threads, "request")

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        try:
            async with asyncio.timeout(self._patience):
                body = await _read(scope, protocol, self._app.config["MAX_CONTENT_LENGTH"])
        except TimeoutError:
            log.warning("a sender fell silent in the middle of its message", seconds=self._patience)
            protocol.response_str(408, [("Content-Type", "text/plain")], "the message did not arrive in time\n")
            return
        except (ProtocolClosed, ProtocolError):
            return  # hung up: there is nobody to answer
        protocol.response_bytes(*await self._answer(_environ(scope, body)))

    async def _answer(self, environ: Environ) -> Answer:
        if not environ["PATH_INFO"].startswith(PREFIX):
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer_in_thread, environ)
        response = self._dispatch(environ)
        if isinstance(response, Acknowledgement):
            response = await self._committed(response)
        return _flat(response, environ)

    async def _committed(self, acknowledgement: Acknowledgement) -> Response:
        try:
            return await acknowledgement.committed()
        except Exception:
            # As of Flask's own: nothing else would say that a commit failed for a reason of ours.
            self._app.logger.exception("a message could not be acknowledged")
            return Response("internal error\n", 500)

    def _answer_in_thread(self, environ: Environ) -> Answer:
        return _flat(self._dispatch(environ), environ)

    def _dispatch(self, environ: Environ) -> Response:
        """What Flask does as a WSGI application, but for sending the answer."""
        with self._app.request_context(dict(environ)):
            try:
                return self._app.full_dispatch_request()
            except Exception as error:  # noqa: BLE001 - Flask's own way: logged, and answered 500
                return self._app.handle_exception(error)


async def _read(scope: Scope, protocol: HTTPProtocol, most: int) -> bytes:
    """The body; of one that is too large nothing, or a little more than there may be: Flask refuses it."""
    length = scope.headers.get("content-length")
    if length is not None:
        return await protocol() if int(length) <= most else b""
    body = bytearray()
    async for chunk in protocol:
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


def _environ(scope: Scope, body: bytes) -> Environ:
    """The request as WSGI has it (PEP 3333), with its body in one piece.

    To WSGI, names that differ in - and _ only are the same: those with _ could pass for what a proxy set.
    """
    host, _, port = scope.server.rpartition(":")
    headers: dict[str, str] = {}
    for name, value in scope.headers.items():
        if "_" not in name and name != "transfer-encoding":
            key = f"HTTP_{name.upper().replace('-', '_')}"
            joint = "; " if name == "cookie" else ","
            headers[key] = f"{headers[key]}{joint}{value}" if key in headers else value
    return headers | {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "CONTENT_TYPE": headers.get("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": headers.get("HTTP_CONTENT_LENGTH") or str(len(body)),
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _flat(response: Response, environ: Environ) -> Answer:
    parts, _, headers = response.get_wsgi_response(environ)
    try:
        return response.status_code, headers, b"".join(parts)
    finally:
        response.close()
