"""Salesforce Canvas: the org signs a request that authenticates an agent, in a frame on the case.

https://developer.salesforce.com/docs/atlas.en-us.platform_connect.meta/platform_connect/canvas_app_unsigning_code_example.htm
The request also carries an access token of the agent. It is neither used, stored nor logged.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from connector import expected, settings
from connector.crms.salesforce import ids
from connector.crms.salesforce.settings import Canvas
from connector.errors import NotAuthentic
from webhooks import strict_json
from webhooks.absent import Sparse
from webhooks.agent_page.sessions import AgentSession

ALGORITHM = "HMACSHA256"
# Characters; far more than an org sends. A longer request is refused before it is hashed.
MAX_CHARACTERS = 200_000
# Seconds that two clocks may differ; and the value above which a timestamp is in milliseconds.
LEEWAY, MILLISECONDS = 60, 1e11

Name = Annotated[str, StringConstraints(max_length=200), expected.PLAIN]


class _Loose(Sparse):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _User(_Loose):
    userName: Name = ""
    email: Name = ""
    fullName: Name = ""


class _Organization(_Loose):
    organizationId: str


class _Environment(_Loose):
    parameters: dict[str, Any] = {}
    record: dict[str, Any] = {}


class _Context(_Loose):
    user: _User
    organization: _Organization
    environment: _Environment


class _Envelope(_Loose):
    algorithm: str
    issuedAt: float = Field(allow_inf_nan=False)
    context: _Context


# Reads a signed request at a time, in seconds since the epoch. Raises NotAuthentic.
Read = Callable[[str, float], AgentSession]


def session_reader() -> Read | None:
    """A reader of signed requests. None when Canvas is not set up. Raises BadSettings."""
    wanted = settings.load(Canvas)
    if not wanted.canvas_secrets:
        return None

    def read(signed: str, now: float) -> AgentSession:
        signature, envelope = _verified(signed, wanted)
        issued = envelope.issuedAt / 1000 if envelope.issuedAt > MILLISECONDS else envelope.issuedAt
        if not -LEEWAY <= now - issued <= wanted.canvas_seconds:
            raise NotAuthentic("the signed request is too old")
        context = envelope.context
        if not hmac.compare_digest(
            context.organization.organizationId[:15].encode(), wanted.organization_id[:15].encode()
        ):
            raise NotAuthentic("another organization has signed this", status=403)
        return AgentSession(
            id=hashlib.sha256(signature).hexdigest()[:32],
            crm="salesforce",
            ticket_id=_record(context.environment),
            until=issued + wanted.canvas_seconds,
            agent_name=context.user.fullName or context.user.userName,
            agent_email=context.user.email or context.user.userName,
        )

    return read


def _verified(signed: str, wanted: Canvas) -> tuple[bytes, _Envelope]:
    """The signature and the signed content. The content is parsed only after the signature is verified."""
    given, dot, encoded = signed.partition(".")
    if not dot or len(signed) > MAX_CHARACTERS:
        raise NotAuthentic("this is no signed request")
    try:
        signature = base64.b64decode(given, validate=True)
        body = encoded.encode("ascii")
    except ValueError:
        raise NotAuthentic("this is no signed request") from None
    matches = [
        hmac.compare_digest(hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).digest(), signature)
        for secret in wanted.canvas_secrets
    ]
    if not any(matches):
        raise NotAuthentic("the signature is wrong")
    try:
        envelope = _Envelope.model_validate(strict_json.loads(base64.b64decode(body, validate=True)))
    except (ValueError, RecursionError, ValidationError, strict_json.KeyTwice):
        raise NotAuthentic("the signed request lacks what the page needs") from None
    if envelope.algorithm != ALGORITHM:
        raise NotAuthentic(f"the algorithm is not {ALGORITHM}")
    return signature, envelope


def _record(environment: _Environment) -> str:
    """The case id: from the component's parameters, else from the record that shows the app. Raises NotAuthentic."""
    for found in (environment.parameters.get("recordId"), environment.record.get("Id")):
        if isinstance(found, str) and not ids.problem(found):
            return ids.long(found)
    raise NotAuthentic("the signed request names no record: pass recordId among the app's parameters")
