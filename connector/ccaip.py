"""The Outbound SMS client: `POST https://{subdomain}.{domain}/apps/api/v1/sms` of CCAI Platform.

The endpoint has no idempotency key, no delivery receipt and no error codes, so everything hangs on telling apart what
certainly did not happen from what may have happened. Credentials appear in no exception: an error carries the
platform's words or the kind of failure, never the request.
"""

import asyncio
import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from connector.errors import Blame, OutcomeUnknown, Refused, Unavailable
from connector.exchange import Answer, Bounds, MayLeave, NeverLeft, NoAnswer
from connector.http import Network
from connector.model import Chat, OutboundSms
from connector.transport import Connections

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
SETTINGS_STATUSES = {301, 302, 307, 308, 401, 403, 404, 407}
# A server, or a proxy before it, says by these that it has not acted on the request: later (RFC 9110, RFC 8470).
LATER_STATUSES = {408, 421, 425}

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
    network: Network = field(default_factory=Network)

    @property
    def credentials(self) -> str:
        """The header Authorization."""
        return "Basic " + base64.b64encode(f"{self.subdomain}:{self.token}".encode()).decode()

    def __repr__(self) -> str:
        return f"Account({self.address})"


class Client:
    """Sends. For any number of calls at once in one event loop."""

    def __init__(self, account: Account) -> None:
        self._account = account
        bounds = Bounds(account.connect_timeout, account.read_timeout)
        self._connections = Connections(account.address, bounds, account.network)
        self._headers = {"Content-Type": "application/json", "Authorization": account.credentials}

    async def send(self, sms: OutboundSms, may_leave: MayLeave | None = None) -> Chat:
        """One call, never repeated here. Raises Refused, Unavailable or OutcomeUnknown.

        The first byte leaves when `may_leave` returns, over a connection that stands by then. What it raises is raised,
        and nothing has left.
        """
        return _chat(await self._post(self._body(sms), may_leave))

    async def probe(self, outbound_number: str) -> None:
        """Whether the settings are right, by a request that can send nothing: it has no message, and no customer.

        It asks for a text from the tenant's number to itself. Returns if it is refused for its own faults; raises
        like `send` otherwise. In which order the platform checks is not documented: what it does not reach, it does
        not find.
        """
        chat_type = self._account.chat_type
        body = {"chat_type": chat_type, "end_user_number": outbound_number, "outbound_number": outbound_number}
        try:
            _chat(await self._post(body))
        except Refused as refused:
            # The only number in it is the tenant's own.
            if refused.blame is Blame.SETTINGS or str(refused) == NON_US:
                raise

    async def close(self) -> None:
        """End all connections; for when no call is under way."""
        await self._connections.close()

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

    async def _post(self, body: dict[str, Any], may_leave: MayLeave | None = None) -> Answer:
        try:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            raise Refused("the message holds half a character, which cannot be sent", Blame.TICKET) from None
        try:
            return await self._connections.call("POST", PATH, self._headers, content, may_leave)
        except NeverLeft as error:
            raise Unavailable(f"CCAI Platform could not be reached ({error})") from None
        except NoAnswer as error:
            raise OutcomeUnknown(f"no answer from CCAI Platform ({error})") from None


def probe(account: Account, outbound_number: str) -> None:
    """Client.probe for who has no event loop, over a connection of its own."""

    async def ask() -> None:
        client = Client(account)
        try:
            await client.probe(outbound_number)
        finally:
            await client.close()

    asyncio.run(ask())


def _chat(answer: Answer) -> Chat:
    """The verdict on an answer: the chat, or which of the three errors it is."""
    status = answer.status
    if status == HTTPStatus.OK:
        try:
            return Chat.model_validate_json(answer.content)
        except ValidationError:
            raise OutcomeUnknown("CCAI Platform answered 200 without a chat id") from None
    words = _words(answer)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        asked = retry_after(answer.headers.get("retry-after"))
        raise Unavailable(words, TOO_MANY_PAUSE if asked is None else asked)
    if status in LATER_STATUSES:
        raise Unavailable(words, retry_after(answer.headers.get("retry-after")))
    if status in SETTINGS_STATUSES:
        raise Refused(words, Blame.SETTINGS)
    if 400 <= status < 500:
        raise Refused(words, REFUSALS.get(words, Blame.TICKET))
    raise OutcomeUnknown(words)


def _words(answer: Answer) -> str:
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
