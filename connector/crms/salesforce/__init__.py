"""Salesforce. The web process needs the ids only, so the org and its libraries are loaded when it is connected."""

from connector.crms import Crm
from connector.crms.salesforce import ids, settings
from connector.errors import Unreadable
from connector.mapping.schema import MappingFile


def address() -> str:
    """The org's address as it is set; empty where it is not."""
    return settings.load_address()


def ticket_id(given: str) -> str:
    """A record's id in full, of 18 characters; spaces around it are left out. Raises Unreadable."""
    if problem := ids.problem(given.strip()):
        raise Unreadable(problem)
    return ids.long(given.strip())


def connect(file: MappingFile) -> Crm:
    """The org of the CONNECTOR_SALESFORCE_… variables. Raises BadSettings."""
    from connector.crms.salesforce.org import Salesforce
    from connector.crms.salesforce.session import Session
    from connector.http import config

    return Salesforce(Session(settings.load(), config.load()), file)
