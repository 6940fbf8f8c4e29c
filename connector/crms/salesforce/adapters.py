"""How requests are sent: to the org's host only, over the connector's own transport."""

from typing import Any

import requests
from requests.adapters import BaseAdapter

from connector.crms.salesforce.settings import Settings
from connector.http import for_requests
from connector.http.config import Network
from connector.http.exchange import Bounds
from connector.http.transport import Caller, Connections

# Maximum size of a response in bytes: a page of a query has up to 2,000 records.
MAX_BYTES = 32_000_000
# Seconds that a connection may be idle. A connection that the org has closed is not reused, and calls can be repeated.
IDLE_SECONDS = 60.0


class PinnedAdapter(BaseAdapter):
    """An adapter for the org's host only, over reused connections. Settings of the requests.Session do not apply."""

    def __init__(self, settings: Settings, network: Network, at_once: int) -> None:
        super().__init__()
        bounds = Bounds(settings.connect_timeout, settings.read_timeout, MAX_BYTES, IDLE_SECONDS)
        self._caller = Caller(Connections(settings.url, bounds, network), at_once)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send the request. Raises NeverSent or NoResponse, which requests and simple-salesforce pass on."""
        return for_requests.send(self._caller, request)

    def close(self) -> None:
        self._caller.close()


class NoHostAdapter(BaseAdapter):
    """An adapter that refuses every other host, so that the token is sent to the org only."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        raise requests.exceptions.InvalidURL("not the org's host")

    def close(self) -> None:
        """Do nothing: no connection exists."""
