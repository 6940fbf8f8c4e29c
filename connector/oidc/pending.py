"""A sign-in under way: what the browser that began it keeps until it is back."""

import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """The secrets of one sign-in. The identity provider learns the verifier only from the connector itself."""

    state: str
    nonce: str
    verifier: str

    def matches(self, state: str) -> bool:
        """Return whether an answer with this state belongs to this sign-in. Takes constant time."""
        return hmac.compare_digest(state.encode("utf-8", "replace"), self.state.encode("utf-8", "replace"))
