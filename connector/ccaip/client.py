"""The Outbound SMS client: `POST https://{subdomain}.{domain}/apps/api/v1/sms` of CCAI Platform.

The endpoint has no idempotency key, no delivery receipt and no error codes, so everything hangs on telling apart what
certainly did not happen from what may have happened. Credentials appear in no exception: an error carries the
platform's words or the kind of failure, never the request.
"""

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import Any

from connector.ccaip import responses
from connector.errors import OutcomeUnknown, RefusalScope, Refused, Unavailable
from connector.http.config import Network
from connector.http.exchange import Answer, BeforeSend, Bounds, NeverSent, NoResponse
from connector.http.transport import Connections
from connector.model import Chat, OutboundSms

PATH = "/apps/api/v1/sms"


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

    async def send(self, sms: OutboundSms, before_send: BeforeSend | None = None) -> Chat:
        """One call, never repeated here. Raises Refused, Unavailable or OutcomeUnknown.

        The first byte leaves when `may_leave` returns, over a connection that stands by then. What it raises is raised,
        and nothing has left.
        """
        return responses.chat_of(await self._post(self._body(sms), before_send))

    async def probe(self, outbound_number: str) -> None:
        """Whether the settings are right, by a request that can send nothing: it has no message, and no customer.

        It asks for a text from the tenant's number to itself. Returns if it is refused for its own faults; raises
        like `send` otherwise. In which order the platform checks is not documented: what it does not reach, it does
        not find.
        """
        chat_type = self._account.chat_type
        body = {"chat_type": chat_type, "end_user_number": outbound_number, "outbound_number": outbound_number}
        try:
            responses.chat_of(await self._post(body))
        except Refused as refused:
            # The only number in it is the tenant's own.
            if refused.scope is RefusalScope.SETTINGS or str(refused) == responses.NON_US:
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
    """Client.probe for who has no event loop, over a connection of its own."""

    async def ask() -> None:
        client = Client(account)
        try:
            await client.probe(outbound_number)
        finally:
            await client.close()

    asyncio.run(ask())
