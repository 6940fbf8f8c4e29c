"""The Outbound SMS client: `POST https://{subdomain}.{domain}/apps/api/v1/sms` of CCAI Platform.

The endpoint has no idempotency key, no delivery receipt and no error codes, so everything hangs on telling apart what
certainly did not happen from what may have happened. Credentials appear in no exception: an error carries the
platform's words or the kind of failure, never the request.
"""

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import httpcore
import httpx
from pydantic import ValidationError

from connector.errors import Blame, OutcomeUnknown, Refused, Unavailable
from connector.model import Chat, OutboundSms

PATH = "/apps/api/v1/sms"

# The refusals that the page of the endpoint documents, all HTTP 400, by their words: there is no code to tell them by.
NO_CHAT_TYPE = "chat_type needs to be provided"
NON_US = "Non-US phone number not allowed"
REFUSALS = {
    NO_CHAT_TYPE: Blame.SETTINGS,
    "valid chat type needs to be provided": Blame.SETTINGS,
    "SMS is not enabled": Blame.SETTINGS,
    "Outbound SMS is not enabled": Blame.SETTINGS,
    "end_user_number is required": Blame.TICKET,
    "end_user_number is invalid": Blame.TICKET,
    NON_US: Blame.TICKET,
    "outbound_number is required": Blame.SETTINGS,
    "outbound_number is invalid": Blame.SETTINGS,
    "outbound_number is not found": Blame.SETTINGS,
    "message is required": Blame.TICKET,
    "Outbound SMS failed. Consumer is already in an active SMS session.": Blame.BUSY,
}

# Answers that concern every text alike, whatever their words: wrong credentials, wrong address.
SETTINGS_STATUSES = {301, 302, 307, 308, 401, 403, 404}

# What httpcore raises before a request can have left; its other errors may come after.
NEVER_LEFT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.ConnectionNotAvailable,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
MAY_HAVE_LEFT = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)

# Seconds that a connection may be idle. Shorter than the five after which common servers close it: a request that meets
# such a close would have an unknown outcome.
KEEP_ALIVE = 4.0
# Of httpcore's trace: the connection stands, and nothing of the request has left.
LEAVES = "http11.send_request_headers.started"
LONGEST_WORDS = 300
LONGEST_RETRY_AFTER = 86_400.0
# Seconds to wait after a 429 that does not say how long: the limit is one of requests a second.
TOO_MANY_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom to send. Timeouts in seconds. `agent_spelling`: "agentId" or "agent_id", see the vendor."""

    address: str
    subdomain: str
    token: str
    chat_type: str = "Messaging (SMS)"
    agent_spelling: str = "agentId"
    connect_timeout: float = 5
    read_timeout: float = 30

    def __repr__(self) -> str:
        return f"Account({self.address})"


class _Answer(NamedTuple):
    """What came back. `retry_after` is the header of this name."""

    status: int
    retry_after: str | None
    content: bytes


class Client:
    """Sends. For any number of threads: each call has a connection to itself, which costs the least CPU a call.

    The connection that was used last is used next: it is warm, and those that are not needed fall out of use. They are
    those that httpx is made of, without its layers above: pools, redirects, cookies, models of requests and answers.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        url = httpx.URL(account.address).join(PATH)
        self._url = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        credentials = base64.b64encode(f"{account.subdomain}:{account.token}".encode())
        self._headers = [
            (b"Host", url.netloc), (b"Content-Type", b"application/json"), (b"Authorization", b"Basic " + credentials),
            (b"Accept-Encoding", b"identity"),
        ]  # fmt: skip
        self._timeouts = httpx.Timeout(account.read_timeout, connect=account.connect_timeout).as_dict()
        self._trusted = httpx.create_ssl_context(trust_env=False)  # once: it takes longer than a call
        self._idle: list[httpcore.HTTPConnection] = []

    def send(self, sms: OutboundSms) -> Chat:
        """One call, never repeated here. Raises Refused, Unavailable or OutcomeUnknown."""
        return _chat(self._post(self._content(self._body(sms))))

    def send_when(self, sms: OutboundSms, may_leave: Callable[[], None]) -> Chat:
        """Like `send`; the first byte leaves when `may_leave` returns, over a connection that stands by then.

        What it raises is raised, and nothing has left.
        """

        def trace(event: str, _: object) -> None:
            if event == LEAVES:
                may_leave()

        return _chat(self._post(self._content(self._body(sms)), {"trace": trace}))

    def probe(self, outbound_number: str) -> None:
        """Whether the settings are right, by a request that can send nothing: it has no message, and no customer.

        It asks for a text from the tenant's number to itself. Returns if it is refused for its own faults; raises
        like `send` otherwise. In which order the platform checks is not documented: what it does not reach, it does
        not find.
        """
        chat_type = self._account.chat_type
        body = {"chat_type": chat_type, "end_user_number": outbound_number, "outbound_number": outbound_number}
        try:
            _chat(self._post(self._content(body)))
        except Refused as refused:
            # The only number in it is the tenant's own.
            if refused.blame is Blame.SETTINGS or str(refused) == NON_US:
                raise

    def close(self) -> None:
        """End all connections; for when no call is under way."""
        while self._idle:
            self._idle.pop().close()

    def _body(self, sms: OutboundSms) -> dict[str, Any]:
        snake = self._account.agent_spelling == "agent_id"
        body = {
            "chat_type": self._account.chat_type,
            "end_user_number": sms.end_user_number,
            "outbound_number": sms.outbound_number,
            "message": sms.message,
            "ticket_id": sms.ticket_id,
            "agent_id" if snake else "agentId": sms.agent_id,
            "agent_email" if snake else "agentEmail": sms.agent_email,
        }
        return {key: value for key, value in body.items() if value is not None}

    def _content(self, body: dict[str, Any]) -> bytes:
        try:
            return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            raise Refused("the message holds half a character, which cannot be sent", Blame.TICKET) from None

    def _post(self, content: bytes, more: Mapping[str, Any] = MappingProxyType({})) -> _Answer:
        """`more`: extensions of the request, in httpcore's sense."""
        headers = [*self._headers, (b"Content-Length", b"%d" % len(content))]
        extensions = {"timeout": self._timeouts, **more}
        request = httpcore.Request(b"POST", self._url, headers=headers, content=content, extensions=extensions)
        connection = self._take()
        try:
            with contextlib.closing(connection.handle_request(request)) as answer:
                return _Answer(answer.status, _header(answer.headers, b"retry-after"), answer.read())
        except NEVER_LEFT as error:
            raise Unavailable(f"CCAI Platform could not be reached ({type(error).__name__})") from None
        except MAY_HAVE_LEFT as error:
            raise OutcomeUnknown(f"no answer from CCAI Platform ({type(error).__name__})") from None
        finally:
            self._idle.append(connection)

    def _take(self) -> httpcore.HTTPConnection:
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread has it
                connection = self._idle.pop()
                if not connection.is_closed() and not connection.has_expired():
                    return connection
                connection.close()
        return httpcore.HTTPConnection(self._url.origin, ssl_context=self._trusted, keepalive_expiry=KEEP_ALIVE)


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def _chat(answer: _Answer) -> Chat:
    """The verdict on an answer: the chat, or which of the three errors it is."""
    status = answer.status
    if status == HTTPStatus.OK:
        try:
            return Chat.model_validate_json(answer.content)
        except ValidationError:
            raise OutcomeUnknown("CCAI Platform answered 200 without a chat id") from None
    words = _words(answer)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        asked = retry_after(answer.retry_after)
        raise Unavailable(words, TOO_MANY_PAUSE if asked is None else asked)
    if status in SETTINGS_STATUSES:
        raise Refused(words, Blame.SETTINGS)
    if 400 <= status < 500:
        raise Refused(words, REFUSALS.get(words, Blame.TICKET))
    raise OutcomeUnknown(words)


def _words(answer: _Answer) -> str:
    """The platform's own words where it has any, else the status; bounded, because they end on a ticket."""
    try:
        said = json.loads(answer.content)["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        said = None
    if isinstance(said, str) and said.strip():
        return said.replace("\0", "").encode("utf-8", "replace").decode().strip()[:LONGEST_WORDS]
    return f"CCAI Platform answered {answer.status}"


def retry_after(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3: seconds or a date), a day at the most.

    None where it says nothing that can be read.
    """
    if not header:
        return None
    if re.fullmatch(r"[0-9]+", header.strip()):
        return min(float(header), LONGEST_RETRY_AFTER)
    try:
        seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
