"""An identity provider: where a person signs in, and who came back. Thread-safe."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from connector.errors import SignInRefused, Unavailable
from connector.http import config
from connector.http.config import Network
from connector.oidc import calls, id_token, identity, metadata, settings
from connector.oidc.id_token import Expected, UnknownKey
from connector.oidc.identity import Identity
from connector.oidc.metadata import Metadata
from connector.oidc.pending import PendingSignIn
from connector.oidc.settings import Settings

Value = TypeVar("Value")

# Seconds for which metadata and keys are kept.
CACHE_SECONDS = 3600.0
# Seconds between two reads of the keys because a token names an unknown one.
UNKNOWN_KEY_SECONDS = 60.0
VERIFIER_CHARACTERS = 64


class _Cached(Generic[Value]):
    """A value that is read when it is needed and too old."""

    def __init__(self, read: Callable[[], Value], clock: Callable[[], float]) -> None:
        self._read, self._clock, self._lock = read, clock, threading.Lock()
        self._kept: tuple[float, Value] | None = None

    def get(self, max_age: float = CACHE_SECONDS) -> Value:
        """Return the value, read at most `max_age` seconds ago."""
        with self._lock:
            now = self._clock()
            if self._kept is None or self._kept[0] + max_age <= now:
                self._kept = (now, self._read())
            return self._kept[1]


class IdentityProvider:
    """The configured provider. Metadata and keys are read when they are first needed."""

    def __init__(self, configured: Settings, network: Network, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self._network = configured, network
        self._metadata = _Cached(self._read_metadata, clock)
        self._keys = _Cached(self._read_keys, clock)

    def check(self) -> None:
        """Read metadata and keys. Raises Unavailable where they do not fit."""
        self._metadata.get()
        self._keys.get()

    def begin(self, redirect_uri: str) -> tuple[str, PendingSignIn]:
        """Return the address where a person signs in, and what their browser keeps meanwhile. Raises Unavailable."""
        pending = PendingSignIn(generate_token(), generate_token(), generate_token(VERIFIER_CHARACTERS))
        endpoint = self._metadata.get().authorization_endpoint
        with calls.session(self.settings, self._network) as client:
            url, _ = client.create_authorization_url(
                endpoint,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
                redirect_uri=redirect_uri,
            )
        return str(url), pending

    def finish(self, pending: PendingSignIn, answer: Mapping[str, str], redirect_uri: str) -> Identity:
        """Return who came back with this answer of the provider: the query of its redirect.

        Raises SignInRefused, or Unavailable.
        """
        found, claim = self._metadata.get(), self.settings.groups_claim
        code = _code(answer, pending, found)
        with calls.session(self.settings, self._network, found) as client:
            tokens = calls.redeem(client, found, code, pending.verifier, redirect_uri)
            expected = Expected(self.settings.issuer, self.settings.client_id, pending.nonce, tokens.access)
            claims = self._claims(tokens.id_token, found, expected)
            if found.userinfo_endpoint and not identity.is_complete(claims, claim):
                answer = calls.read_json(client, found.userinfo_endpoint, "userinfo", bearer=tokens.access)
                claims = identity.with_userinfo(claims, answer)
        return identity.read(claims, claim)

    def sign_out_address(self, back: str) -> str | None:
        """Return where a person signs out of the provider too; None: it has no such address, or does not answer."""
        try:
            endpoint = self._metadata.get().end_session_endpoint
        except Unavailable:
            return None
        parameters = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back}
        return str(add_params_to_uri(endpoint, list(parameters.items()))) if endpoint else None

    def _claims(self, token: str, found: Metadata, expected: Expected) -> Mapping[str, Any]:
        """Verify the ID token. An unknown key may be a new one: then the keys are read again."""
        for max_age in (CACHE_SECONDS, UNKNOWN_KEY_SECONDS):
            try:
                return id_token.claims(token, self._keys.get(max_age), found.algorithms, expected)
            except UnknownKey:
                continue
        raise SignInRefused("the ID token is signed with a key that the identity provider does not publish")

    def _read_metadata(self) -> Metadata:
        with calls.session(self.settings, self._network) as client:
            address = self.settings.issuer.rstrip("/") + metadata.PATH
            return metadata.read(calls.read_json(client, address, "metadata"), self.settings.issuer)

    def _read_keys(self) -> KeySet:
        with calls.session(self.settings, self._network) as client:
            content = calls.read_json(client, self._metadata.get().jwks_uri, "keys")
        try:
            return KeySet.import_key_set(content)
        except (JoseError, ValueError, TypeError, KeyError):
            raise Unavailable("the identity provider's keys cannot be read") from None


def configured(public_url: str | None) -> IdentityProvider | None:
    """Return the provider of the settings; None: sign-in with OpenID Connect is off. Raises BadSettings."""
    found = settings.load(public_url)
    return IdentityProvider(found, config.load()) if found else None


def _code(answer: Mapping[str, str], pending: PendingSignIn, found: Metadata) -> str:
    """Return the code of the answer, which must belong to the sign-in that this browser began."""
    if not pending.matches(answer.get("state", "")):
        raise SignInRefused("this answer does not belong to the sign-in that this browser began")
    if (
        answer.get("iss", None if found.authorization_response_iss_parameter_supported else found.issuer)
        != found.issuer
    ):
        raise SignInRefused("this answer does not come from the identity provider")
    if "error" in answer:
        raise SignInRefused(f"the identity provider signed nobody in ({calls.error_code(answer['error'])})")
    if not answer.get("code"):
        raise SignInRefused("the identity provider's answer has no code")
    return answer["code"]
