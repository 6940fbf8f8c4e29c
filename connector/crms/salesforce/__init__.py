"""Salesforce. The web process needs only the ids, so the org and its libraries are loaded on connection."""

from connector.crms import Crm
from connector.crms.salesforce import ids, settings
from connector.errors import Unreadable
from connector.mapping.schema import MappingFile


def address() -> str:
    """Return the org's configured address; empty where none is set."""
    return settings.load_address()


def ticket_page(ticket_id: str) -> str:
    """Return the record's address in the org, which leads to its page; empty where no address is set."""
    org = settings.load_address().rstrip("/")
    return f"{org}/{ticket_id}" if org.startswith("https://") else ""


def ticket_id(given: str) -> str:
    """Return a record's id in full, of 18 characters. Surrounding spaces are removed. Raises Unreadable."""
    if problem := ids.problem(given.strip()):
        raise Unreadable(problem)
    return ids.long(given.strip())


def connect(file: MappingFile) -> Crm:
    """Return the org of the CONNECTOR_SALESFORCE_… variables. Raises BadSettings."""
    from connector.crms.salesforce.adapter import Salesforce
    from connector.crms.salesforce.session import Session
    from connector.http import config

    return Salesforce(Session(settings.load(), config.load()), file)
