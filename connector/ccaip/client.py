"""The Outbound SMS client: `POST https://{subdomain}.{domain}/apps/api/v1/sms` of CCAI Platform.

The endpoint has no idempotency key, no delivery receipt and no error codes. The client must therefore distinguish what
certainly did not happen from what may have happened. No exception contains credentials: an error has the platform's
words or the kind of failure, never the request.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.ccaip import responses
from connector.errors import OutcomeUnknown, RefusalCode, RefusalScope, Refused, Unavailable
from connector.http.config import Network
from connector.http.exchange import Answer, BeforeSend, Bounds, NeverSent, NoResponse
from connector.http.transport import Connections
from connector.model import Chat, OutboundSms

PATH = "/apps/api/v1/sms"


@dataclass(frozen=True, slots=True)
class Account:
    """The CCAI Platform account to send with. Timeouts in seconds. `agent_spelling`: "agentId" or "agent_id".

    `opted_out_messages`: refusals in lower case, which mean that the customer opted out or is blocked.
    """

    address: str
    subdomain: str
    token: str
    chat_type: str = "Messaging (SMS)"
    agent_spelling: str = "agentId"
    connect_timeout: float = 5
    read_timeout: float = 30
    network: Network = field(default_factory=Network)
    opted_out_messages: frozenset[str] = frozenset()

    @property
    def credentials(self) -> str:
        """Return the value of the Authorization header."""
        return "Basic " + base64.b64encode(f"{self.subdomain}:{self.token}".encode()).decode()

    def __repr__(self) -> str:
        return f"Account({self.address})"


class Client:
    """A client for any number of concurrent calls in one event loop."""

    def __init__(self, account: Account) -> None:
        self._account = account
        bounds = Bounds(account.connect_timeout, account.read_timeout)
        self._connections = Connections(account.address, bounds, account.network)
        self._headers = {"Content-Type": "application/json", "Authorization": account.credentials}

    async def send(self, sms: OutboundSms, before_send: BeforeSend | None = None) -> Chat:
        """Send in one call, which is never repeated here. Raises Refused, Unavailable or OutcomeUnknown.

        `before_send` is awaited when the connection is established; the first byte is sent when it returns. An
        exception of `before_send` is passed on, and nothing has been sent then.
        """
        answer = await self._post(self._body(sms), before_send)
        return responses.chat_of(answer, self._account.opted_out_messages)

    async def probe(self, outbound_number: str) -> None:
        """Check the settings with a request that cannot send a text: it has no message and no customer.

        It requests a text from the tenant's number to itself. Returns if the request is refused for its own faults;
        otherwise raises like `send`. The platform's order of checks is not documented: a fault that it does not get to
        is not found.
        """
        chat_type = self._account.chat_type
        body = {"chat_type": chat_type, "end_user_number": outbound_number, "outbound_number": outbound_number}
        try:
            responses.chat_of(await self._post(body))
        except Refused as refused:
            # The only number in the request is the tenant's own.
            if refused.scope is RefusalScope.SETTINGS or refused.code is RefusalCode.NON_US_NUMBER:
                raise

    async def close(self) -> None:
        """Close all connections. Call it when no call is in progress."""
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

    async def _post(self, body: dict[str, Any], before_send: BeforeSend | None = None) -> Answer:
        try:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            raise Refused("the message holds half a character, which cannot be sent", RefusalScope.TICKET) from None
        try:
            return await self._connections.call("POST", PATH, self._headers, content, before_send)
        except NeverSent as error:
            raise Unavailable(f"CCAI Platform could not be reached ({error})") from None
        except NoResponse as error:
            raise OutcomeUnknown(f"no answer from CCAI Platform ({error})") from None


def probe(account: Account, outbound_number: str) -> None:
    """Run Client.probe without an event loop, over a connection of its own."""

    async def ask() -> None:
        client = Client(account)
        try:
            await client.probe(outbound_number)
        finally:
            await client.close()

    asyncio.run(ask())


def probe_of(account: Account, numbers: Sequence[str]) -> Callable[[], None]:
    """A function that checks the settings for these outbound numbers, by requests that cannot send a text.

    It raises CallFailed.
    """

    def ask() -> None:
        for number in numbers:
            probe(account, number)

    return ask
