"""Callers of the API: authentication by an API key or by a CRM's token, rights, and rate limits."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from connector.errors import NotAuthentic
from connector.store import api_keys
from connector.store.api_keys import Right
from webhooks import rate_limit, refusals
from webhooks.problems import Problem

# The rights and the requests per minute of a person authenticated by a CRM.
PERSON_RIGHTS = (Right.PREVIEW, Right.SEND, Right.READ)
PERSON_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `agent`: the person's name in the CRM, when a CRM authenticated one."""

    name: str
    rights: Sequence[Right]
    per_minute: int
    agent: str | None = None


# Verifies a CRM's token and returns the person's name. Raises NotAuthentic.
Verify = Callable[[str], str]


class Callers:
    """Authenticates callers. `verifiers` are by CRM."""

    def __init__(self, verifiers: dict[str, Verify]) -> None:
        self._verifiers = verifiers

    def admit(self, connection: psycopg.Connection, authorization: str, right: Right) -> Caller:
        """Authenticate a caller, count the request, check the right. Raises Problem 401, 403 or 429."""
        caller = self._caller(connection, authorization)
        rate_limit.count(connection, caller.name, caller.per_minute)
        if right not in caller.rights:
            refusals.log("a request was refused", caller=caller.name, right=right.value)
            raise Problem(403, f"this key has no right to {right}; it has: {', '.join(caller.rights)}")
        return caller

    def _caller(self, connection: psycopg.Connection, authorization: str) -> Caller:
        scheme, _, given = authorization.partition(" ")
        given = given.strip()
        if scheme.lower() == "bearer" and given.startswith(api_keys.PREFIX):
            if key := api_keys.known(connection, given):
                return Caller(f"key:{key.name}", key.rights, key.per_minute)
        elif scheme.lower() == "bearer" and given.count(".") == 2:
            for crm_name, verify in self._verifiers.items():
                try:
                    person = verify(given)
                except NotAuthentic as error:
                    refusals.log("a token was refused", crm=crm_name, why=str(error))
                else:
                    return Caller(f"{crm_name}:{person}", PERSON_RIGHTS, PERSON_PER_MINUTE, person)
        refusals.log("a request without a valid key was refused")
        raise Problem(401, "expected a bearer key of the API, or a token of the CRM", {"WWW-Authenticate": "Bearer"})


def verifiers(crm_names: Sequence[str]) -> dict[str, Verify]:
    """The token verifiers of the CRMs that have one set up. Raises BadSettings."""
    found = {crm_name: importlib.import_module(f"webhooks.crms.{crm_name}").verifier() for crm_name in crm_names}
    return {crm_name: verify for crm_name, verify in found.items() if verify}
