"""The session with the org: one host, timeouts, headers that no refresh can drop, and one token for all threads.

simple-salesforce makes the calls. It has no timeouts, always uses https, drops headers when it refreshes a token, and
refreshes without limit. Therefore the headers are set on the requests.Session, and this module manages the token: one
refresh for all threads, one repeat for each call.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import requests
from pydantic import BaseModel, Field, ValidationError
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError, SalesforceExpiredSession

from connector.crms.salesforce import errors
from connector.crms.salesforce.adapters import NoHostAdapter, PinnedAdapter
from connector.crms.salesforce.settings import Settings
from connector.errors import RefusalScope, Refused, Unavailable
from connector.http.config import Network
from connector.http.exchange import NeverSent, NoResponse

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Seconds that an assertion is valid. Salesforce accepts up to five minutes.
JWT_SECONDS = 180
# Every response reports the org's used calls of the day: "api-usage=18/5000".
USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
# No response, or one that is not JSON or not valid, such as the HTML page of a proxy or of maintenance. A bare number
# leads simple-salesforce to a TypeError.
NO_ANSWER = (NeverSent, NoResponse, requests.RequestException, ValueError, RecursionError, TypeError)


class Granted(BaseModel):
    """The response of the token endpoint. `id` is the address of the identity: …/id/<organization>/<user>."""

    access_token: str = Field(min_length=1)
    id: str = Field(pattern=r"/[a-zA-Z0-9]{15,18}$")


class _Page(BaseModel):
    """One page of a query's records. Every page but the last has the address of the next."""

    total_size: int = Field(alias="totalSize", ge=0)
    done: bool
    records: list[dict[str, Any]]
    next_records_url: str = Field(default="", alias="nextRecordsUrl")

    @classmethod
    def of(cls, answer: Any) -> "_Page":
        """Return the page. Raises Unavailable where the response is not one."""
        try:
            page = cls.model_validate(answer, strict=True)
        except ValidationError:
            raise Unavailable("Salesforce's answer to a query was not understood") from None
        if not page.done and not page.next_records_url.strip("/"):
            raise Unavailable("Salesforce's answer to a query breaks off")
        return page


class Session:
    """Calls to one org, from any number of threads."""

    def __init__(self, settings: Settings, network: Network | None = None, at_once: int = 8) -> None:
        """Limit the concurrent calls to `at_once`."""
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Salesforce | None = None
        self._user = ""
        self._host = f"https://{urlsplit(settings.url).netloc}"  # simple-salesforce knows no other scheme
        self._http = requests.Session()
        self._http.trust_env = False  # no .netrc: it would replace the token
        self._http.headers.update(
            {
                "Sforce-Auto-Assign": "FALSE",  # or the assignment rule re-owns the case on every write
                "Sforce-Call-Options": f"client={settings.client_name}",
            }
        )
        self._http.hooks["response"].append(self._note_usage)
        self._usage: tuple[float, float] | None = None
        for prefix in ("https://", "http://"):
            self._http.mount(prefix, NoHostAdapter())
        self._http.mount(f"{self._host}/", PinnedAdapter(settings, network or Network(), at_once))

    def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Make one REST call below /services/data/vNN.0/ and return its response. Raises Refused or Unavailable."""
        client = self._logged_in()
        try:
            try:
                return client.restful(path, method=method, json=body)
            except SalesforceExpiredSession:
                return self._logged_in(instead_of=client).restful(path, method=method, json=body)
        except SalesforceError as error:
            raise errors.of_answer(error) from None
        except NO_ANSWER as error:
            raise Unavailable(f"no answer from Salesforce ({_kind(error)})") from None

    def query(self, soql: str) -> Iterator[list[dict[str, Any]]]:
        """Yield all records of a query, page by page: Salesforce may split a response at any size. Raises like `call`.

        An incomplete result raises Unavailable: a record that it lacks would be taken for deleted.
        """
        path, count, followed = f"query?{urlencode({'q': soql})}", 0, set[str]()
        while True:
            page = _Page.of(self.call(path))
            count += len(page.records)
            yield page.records
            if page.done:
                break
            path = f"query/{page.next_records_url.rpartition('/')[2]}"
            if path in followed:
                raise Unavailable("Salesforce gave the same page of a query again")
            followed.add(path)
        if count != page.total_size:
            raise Unavailable(f"Salesforce gave {count} of the {page.total_size} records of a query")

    def count(self, soql: str) -> int:
        """Return the result of a COUNT() query. Raises like `call`."""
        return _Page.of(self.call(f"query?{urlencode({'q': soql})}")).total_size

    def text(self, path: str) -> tuple[str, Mapping[str, str]]:
        """Return the response of a GET that is not JSON, and its headers. Raises like `call`."""
        client = self._logged_in()
        try:
            answer = self._get(client, path)
            if answer.status_code == requests.codes.unauthorized:
                answer = self._get(self._logged_in(instead_of=client), path)
            if answer.status_code != requests.codes.ok:
                raise errors.of_status(answer.status_code, answer.json())
        except NO_ANSWER as error:
            raise Unavailable(f"no answer from Salesforce ({_kind(error)})") from None
        return answer.content.decode(), answer.headers

    def _get(self, client: Salesforce, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {client.session_id}"}
        return self._http.get(f"{client.base_url}{path}", headers=headers, allow_redirects=False)

    def own_user(self) -> str:
        """Return the id of the user of this token. Raises like `call`."""
        self._logged_in()
        return self._user

    def usage(self, newest: float | None = None) -> float | None:
        """Return the org's used share of the day's calls, 0 to 1, as last reported; None: not reported yet.

        `newest`: the maximum age of the report in seconds. If it is older, one more call gets a new one.
        """
        if self._usage and newest is not None and time.monotonic() - self._usage[1] > newest:
            self.call("limits")
        return self._usage[0] if self._usage else None

    def _note_usage(self, answer: requests.Response, **_: Any) -> None:
        if found := USAGE.search(answer.headers.get("Sforce-Limit-Info", "")):
            self._usage = int(found[1]) / max(int(found[2]), 1), time.monotonic()

    def close(self) -> None:
        self._http.close()

    def _logged_in(self, instead_of: Salesforce | None = None) -> Salesforce:
        """Return the client of the current token; a new one replaces `instead_of`, unless another thread was faster."""
        with self._lock:
            if self._client is None or self._client is instead_of:
                token, self._user = self._login()
                self._client = Salesforce(
                    session_id=token,
                    instance_url=self._host,
                    session=self._http,
                    version=self._settings.api_version,
                    object_pairs_hook=dict,
                )
            return self._client

    def _login(self) -> tuple[str, str]:
        try:
            answer = self._http.post(f"{self._host}{TOKEN_PATH}", data=self._grant(), allow_redirects=False)
            content = answer.json()
        except NO_ANSWER as error:
            raise Unavailable(f"no token from Salesforce ({_kind(error)})") from None
        if answer.status_code != requests.codes.ok:
            raise errors.of_login(answer.status_code, content)
        try:
            granted = Granted.model_validate(content)
        except ValidationError:
            raise Unavailable("no token from Salesforce (the answer was not understood)") from None
        return granted.access_token, granted.id.rsplit("/", 1)[1]

    def _grant(self) -> dict[str, str]:
        settings = self._settings
        if settings.client_secret:
            return {
                "grant_type": "client_credentials",
                "client_id": settings.client_id,
                "client_secret": settings.client_secret.get_secret_value(),
            }
        claims = {
            "iss": settings.client_id,
            "sub": settings.username,
            "aud": settings.jwt_audience,
            "exp": int(time.time()) + JWT_SECONDS,
        }
        key = settings.jwt_key.get_secret_value() if settings.jwt_key else ""
        try:
            return {"grant_type": JWT_BEARER, "assertion": jwt.encode(claims, key, algorithm="RS256")}
        except (jwt.PyJWTError, ValueError, TypeError):
            why = f"CONNECTOR_SALESFORCE_JWT_KEY: expected an RSA private key in PEM, not encrypted{_instead(key)}"
            raise Refused(why, RefusalScope.SETTINGS) from None


def _kind(error: Exception) -> str:
    """Return the kind of failure, in a word or two."""
    return str(error) if isinstance(error, NeverSent | NoResponse) else type(error).__name__


# What is set instead of a private key, by a part of its PEM.
NOT_A_KEY = {
    "BEGIN CERTIFICATE": "a certificate: its private key is another file",
    "BEGIN PUBLIC KEY": "a public key",
    "BEGIN ENCRYPTED": "an encrypted key: decrypt it with `openssl pkey`",
    "Proc-Type: 4,ENCRYPTED": "an encrypted key: decrypt it with `openssl pkey`",
    "BEGIN EC PRIVATE KEY": "a key for elliptic curves",
    "BEGIN OPENSSH": "a key for SSH",
}


def _instead(key: str) -> str:
    found = next((words for sign, words in NOT_A_KEY.items() if sign in key), None)
    return f"; this is {found}" if found else ""
