"""Salesforce: an org with cases, its REST API, and the package's flow that sends outbound messages."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from connector.sandbox import clock, faults, journal, server, switches
from connector.sandbox.crms.salesforce import (
    api,
    auth,
    bulk,
    cards,
    control,
    envelope,
    errors,
    ids,
    links,
    many,
    outbound,
    query,
    rest,
    schema,
    starting,
    store,
    tokens,
)

__all__ = ["BLUEPRINTS", "SWITCHES", "Settings", "Side", "auth", "bulk", "many", "query", "rest"]

SWITCHES = (
    switches.Switch(
        "contact_mobile_selectable", True, "Whether an outbound message about a case can carry ContactMobile."
    ),
)
BLUEPRINTS = (api.routes, control.routes)

REQUESTED = "Requested"


class Settings(outbound.Settings):
    """The org, its connected app, and the delivery of outbound messages."""

    organization_id: str = "00D000000000001EAA"
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 -- the sandbox's credentials are public
    public_key: str = ""  # PEM of a public key or certificate that verifies JWT bearer assertions
    jwt_audiences: list[str] = ["https://login.salesforce.com", "https://test.salesforce.com"]
    token_uses: int = 0
    token_seconds: float = 0.0
    daily_api_calls: int = 15_000
    query_page_size: int = 2000
    assignment_rule_active: bool = True
    agents_url: str | None = None  # the connector's address; `agents_key` may request links to its agent page
    agents_key: str = Field(default="", exclude=True, repr=False)

    @field_validator("agents_url")
    @classmethod
    def page_on_this_machine(cls, url: str | None) -> str | None:
        return server.require_loopback(url).rstrip("/") if url else None


class Side:
    """The org's state. Records change under the lock of `store`, and no outside calls are made while it is held."""

    own_user_id: str
    human_user_id: str
    queue_id: str

    def __init__(
        self, time: clock.Clock, guesses: switches.Switches, planned: faults.Faults, settings: Settings
    ) -> None:
        self.clock, self.switches, self.faults = time, guesses, planned
        self._initial = settings.model_copy(deep=True)
        self.settings = settings
        self.url = ""
        self.messages = outbound.Messages(time, settings, lambda notifications: envelope.write(self, notifications))
        self.reset()

    def start(self, url: str) -> None:
        self.url = url
        self.messages.start()

    def stop(self) -> None:
        self.messages.stop()

    def reset(self) -> None:
        for name in Settings.model_fields:
            setattr(self.settings, name, getattr(self._initial, name))
        self.messages.reset()
        self.calls: list[journal.Call] = []
        self.api_usage = 0
        self.tokens = tokens.Tokens(self.clock)
        self.cursors: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        self.job_ids = ids.series("750")
        self.cursor_ids = ids.series("01g")
        self._made = 0
        self.store = store.Store(self.clock)
        starting.fill(self)
        self.store.before_save, self.store.after_save = self._stamp_request, self._announce

    @property
    def organization_id(self) -> str:
        return self.settings.organization_id

    def authenticate(self, header: str) -> str:
        """The id of the user for whom the Authorization header's token acts. Raises INVALID_SESSION_ID."""
        scheme, _, text = header.partition(" ")
        if scheme.lower() not in ("bearer", "oauth"):
            raise errors.invalid_session()
        return self.tokens.use(text.strip(), self.settings.token_uses, self.settings.token_seconds)

    def spend_call(self) -> None:
        """Count an API call against the daily limit. Raises REQUEST_LIMIT_EXCEEDED."""
        if self.api_usage >= self.settings.daily_api_calls:
            raise errors.ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.api_usage += 1

    def refund_call(self) -> None:
        """Uncount a call: the parts of a composite request do not count."""
        self.api_usage -= 1

    def user(self, user_id: str) -> store.Record:
        return self.store.tables["User"][user_id]

    def user_named(self, username: str) -> str | None:
        return next((i for i, user in self.store.tables["User"].items() if user["Username"] == username), None)

    def records(self, name: str) -> list[dict[str, Any]]:
        """Every record of an object, with its fields as REST shows them."""
        thing = schema.OBJECTS[name]
        return [self.show(thing, record) for record in self.store.rows(thing)]

    def show(self, thing: schema.SObject, record: store.Record) -> dict[str, Any]:
        return {name: store.as_rest(self.store.value(thing, record, name)) for name in thing.fields}

    def case(self, case_id: str) -> dict[str, Any]:
        """A case, with its fields as REST shows them."""
        thing = schema.OBJECTS["Case"]
        return self.show(thing, self.store.get(thing, case_id))

    def make_cases(self, count: int, *, contact: Mapping[str, Any] | None = None, **values: Any) -> list[str]:
        """Create cases, each with a contact who has a valid mobile number of their own. Return the case ids."""
        first, self._made = self._made, self._made + count
        return starting.make_cases(self, count, first, values, dict(contact or {}))

    def edit(self, ticket_id: str, changes: Mapping[str, Any]) -> None:
        """Change a case as the human agent on the page. The package's flow runs; the assignment rule does not."""
        self.store.update(schema.OBJECTS["Case"], ticket_id, changes, self.human_user_id)

    def request_text(self, ticket_id: str) -> None:
        """Request a text as the human agent. Clears a present request first."""
        self.edit(ticket_id, {"CCAIP_SMS_Status__c": None})
        self.edit(ticket_id, {"CCAIP_SMS_Status__c": REQUESTED})

    @property
    def has_agents_page(self) -> bool:
        return bool(self.settings.agents_url and self.settings.agents_key)

    def agents_page(self, ticket_id: str) -> str:
        return links.ask(self, ticket_id)

    def has_ticket(self, ticket_id: str) -> bool:
        return ids.long(ticket_id) in self.store.tables["Case"]

    def stats(self) -> dict[str, Any]:
        log = self.messages.log
        return {
            "api_usage": self.api_usage,
            "tokens_issued": self.tokens.issued,
            "records": {name: len(table) for name, table in self.store.tables.items()},
            "outbound_messages": {"sent": len(log), "acked": sum(message.state == "acked" for message in log)},
        }

    def tickets(self, search: str = "", page: int = 1) -> tuple[list[dict[str, Any]], int]:
        return cards.found(self, search, page)

    def ticket(self, ticket_id: str) -> dict[str, Any]:
        return cards.one(self, ticket_id)

    def _stamp_request(self, change: store.Change) -> None:
        """Run the flow's first half: set the time of the request."""
        if _asks_for_text(change):
            change.new["CCAIP_SMS_Requested_At__c"] = self.clock.now()

    def _announce(self, change: store.Change) -> None:
        """Run the flow's second half. Skips writes of the integration user, who lacks "Send Outbound Messages"."""
        if _asks_for_text(change) and change.user_id != self.own_user_id:
            self.messages.notify(change.new["Id"])


def _asks_for_text(change: store.Change) -> bool:
    if change.thing.name != "Case" or change.new["CCAIP_SMS_Status__c"] != REQUESTED:
        return False
    return change.old is None or change.old["CCAIP_SMS_Status__c"] != REQUESTED
