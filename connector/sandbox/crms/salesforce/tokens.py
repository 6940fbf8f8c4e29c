"""Access tokens: their users and their lifetimes."""

import secrets
import threading
from dataclasses import dataclass

from connector.sandbox import clock
from connector.sandbox.crms.salesforce import errors


@dataclass(slots=True)
class Token:
    user_id: str
    issued: float
    uses: int = 0


class Tokens:
    """The tokens in force. `uses` and `seconds` limit each token; 0 means no limit."""

    def __init__(self, time: clock.Clock) -> None:
        self._clock = time
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        self.issued = 0

    def issue(self, organization_id: str, user_id: str) -> str:
        text = f"{organization_id[:15]}!{secrets.token_urlsafe(48)}"
        with self._lock:
            self.issued += 1
            self._tokens[text] = Token(user_id, self._clock.monotonic())
        return text

    def use(self, text: str, uses: int, seconds: float) -> str:
        """The id of the token's user. Raises INVALID_SESSION_ID."""
        with self._lock:
            token = self._tokens.get(text)
            if token is None:
                raise errors.invalid_session()
            token.uses += 1
            if (uses and token.uses > uses) or (seconds and self._clock.monotonic() - token.issued >= seconds):
                del self._tokens[text]
                raise errors.invalid_session()
            return token.user_id

    def expire(self) -> int:
        """Invalidate all tokens. Return how many there were."""
        with self._lock:
            count = len(self._tokens)
            self._tokens.clear()
            return count
