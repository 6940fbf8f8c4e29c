"""The retry policy for Salesforce's errors. Reads and write-backs can be repeated, so no outcome is unknown.

Codes: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
"""

from collections.abc import Mapping
from typing import Any

from simple_salesforce.exceptions import SalesforceError

from connector.errors import CallFailed, RefusalScope, Refused, Unavailable

# Transient codes, of a record or of a whole response.
PASSING = (
    "UNABLE_TO_LOCK_ROW",
    "SERVER_UNAVAILABLE",
    "UNKNOWN_EXCEPTION",
    "QUERY_TIMEOUT",
    # A token that was revoked during its refresh: a new one is being requested.
    "INVALID_SESSION_ID",
)
# Codes of a record that no longer exists.
GONE = ("ENTITY_IS_DELETED", "NOT_FOUND")
NO_RECORD = "INVALID_CROSS_REFERENCE_KEY"
# The org's calls of the day are used up. Salesforce does not say until when, so the pause is a quarter of an hour.
LIMIT = "REQUEST_LIMIT_EXCEEDED"
LIMIT_PAUSE = 900.0
# Codes that affect every record, until the org, the credentials or the mapping are corrected.
SETTINGS = (
    "INVALID_FIELD",
    "INVALID_TYPE",
    "MALFORMED_QUERY",
    "INSUFFICIENT_ACCESS",
    "API_DISABLED_FOR_ORG",
    "invalid_client",
    "invalid_grant",
)
PASSING_STATUSES = (401, 408, 425, 429, 500, 502, 503, 504)
SETTINGS_STATUSES = (403, 404, 407)
MAX_WORDS = 300


NOT_UNDERSTOOD = "Salesforce's answer to a write was not understood"


def of_written(identifier: str, answer: Any) -> CallFailed | None:
    """Return the error for one record of a composite write; None: it is written."""
    if not isinstance(answer, Mapping):
        return Unavailable(NOT_UNDERSTOOD)
    if answer.get("success") is True:
        about = answer.get("id", identifier)
        # A response about another record says nothing about this one.
        return None if isinstance(about, str) and about[:15] == identifier[:15] else Unavailable(NOT_UNDERSTOOD)
    errors = answer.get("errors")
    if answer.get("success") is not False or not isinstance(errors, list) or not errors:
        return Unavailable(NOT_UNDERSTOOD)
    return of_record(answer) if isinstance(errors[0], Mapping) else Unavailable(NOT_UNDERSTOOD)


def of_record(answer: Mapping[str, Any]) -> CallFailed:
    """Return the error for a failed record of a composite response, by its first error."""
    error = (answer.get("errors") or [{}])[0]
    code, message = str(error.get("statusCode", "")), str(error.get("message", ""))
    # Salesforce uses this code for a field's value too; without a field, it is about the record itself.
    if code in GONE or (code == NO_RECORD and not error.get("fields")):
        return Refused(f"Salesforce: {code}: {message}"[:MAX_WORDS], RefusalScope.GONE)
    # A trigger of the org that finds a locked row reports it inside an error of its own.
    passing = code.startswith(PASSING) or "UNABLE_TO_LOCK_ROW" in message
    return _verdict(code, message, passing, code.startswith(SETTINGS))


def of_answer(error: SalesforceError) -> CallFailed:
    """Return the error for a whole response, by its code where it has one, else by its status."""
    return of_status(error.status, error.content)


def of_login(status: int, content: Any) -> CallFailed:
    """Return the error for a token endpoint's response without a token. Unless transient, a setting is wrong."""
    verdict = of_status(status, content)
    refused = isinstance(verdict, Refused) or status == 401  # no session exists that could have expired
    return Refused(str(verdict), RefusalScope.SETTINGS) if refused else verdict


def of_status(status: int, content: Any) -> CallFailed:
    """Return the error for a response with this status and content."""
    first = content[0] if isinstance(content, list) and content else content
    first = first if isinstance(first, Mapping) else {}
    code = str(first.get("errorCode") or first.get("error") or f"HTTP {status}")
    message = str(first.get("message") or first.get("error_description") or "")
    if code == LIMIT:
        return Unavailable(f"Salesforce: {code}: {message}"[:MAX_WORDS], LIMIT_PAUSE)
    passing = code.startswith(PASSING) or status in PASSING_STATUSES
    return _verdict(code, message, passing, code.startswith(SETTINGS) or status in SETTINGS_STATUSES)


def _verdict(code: str, message: str, passing: bool, settings: bool) -> CallFailed:
    words = f"Salesforce: {code}: {message}"[:MAX_WORDS]
    if passing:
        return Unavailable(words)
    return Refused(words, RefusalScope.SETTINGS if settings else RefusalScope.TICKET)
