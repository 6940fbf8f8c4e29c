"""Salesforce's refusals: a status, and a list of `{message, errorCode, fields?}`."""

from typing import Any, NoReturn

from connector.sandbox import crms


class ApiError(crms.Refused):
    """A refusal, as every REST route answers it."""

    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.fields = status, code, message, fields

    def rest(self) -> dict[str, Any]:
        """The form in the answer of a single-record route."""
        body: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        return body if self.fields is None else body | {"fields": self.fields}

    def per_record(self) -> dict[str, Any]:
        """The form in the answer of a multi-record route, which names the code `statusCode`."""
        return {"statusCode": self.code, "message": self.message, "fields": self.fields or []}


def no_such_record() -> ApiError:
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def invalid_session() -> ApiError:
    return ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def malformed_query(message: str) -> NoReturn:
    raise ApiError(400, "MALFORMED_QUERY", message)
