"""The records of a new org: two users, a queue, an account, and six distinct cases."""

from typing import TYPE_CHECKING, Any

from connector.sandbox.crms.salesforce import schema, store

if TYPE_CHECKING:
    from connector.sandbox.crms.salesforce import Side

USERS = (
    {
        "Username": "connector@sandbox.example",
        "FirstName": "SMS",
        "LastName": "Connector",
        "Email": "connector@sandbox.example",
    },
    {
        "Username": "maya.lindgren@sandbox.example",
        "FirstName": "Maya",
        "LastName": "Lindgren",
        "Email": "maya.lindgren@sandbox.example",
    },
)

CASES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (
        {"FirstName": "Priya", "LastName": "Nair", "MobilePhone": "+1 (415) 555-0132", "Phone": "(415) 555-0100"},
        {"Subject": "Order 3381 has not arrived", "Origin": "Web", "Priority": "High"},
    ),
    (
        {"FirstName": "Tom", "LastName": "Okafor", "Phone": "(415) 555-0100"},
        {"Subject": "Change of delivery address", "Origin": "Phone"},
    ),
    (
        {"FirstName": "Ines", "LastName": "Moreau"},
        {"Subject": "Invoice shows the wrong amount", "Origin": "Email"},
    ),
    (
        {"FirstName": "Dana", "LastName": "Whitfield", "MobilePhone": "+1 800-555-0199"},
        {"Subject": "Call back about the warranty", "Origin": "Phone"},
    ),
    (
        {"FirstName": "Oliver", "LastName": "Hughes", "MobilePhone": "+44 20 7946 0123", "MailingCountryCode": "GB"},
        {"Subject": "Return label for an order from London", "Origin": "Web"},
    ),
    (
        {},
        {"Subject": "Web form without a contact", "Origin": "Web", "SuppliedPhone": "628-555-0147"},
    ),
)

AREA_CODES = (212, 213, 305, 312, 404, 415, 512, 602, 617, 628, 702, 713, 206, 303, 503, 619, 214, 215, 216, 218)
EXCHANGES = tuple(number for number in range(200, 1000) if number % 100 != 11 and number != 555)
LINES = 10_000


def fill(org: "Side") -> None:
    """Create the initial records in an empty org."""
    things = schema.OBJECTS
    write = org.store.create
    org.own_user_id, org.human_user_id = (write(things["User"], values, "") for values in USERS)
    org.queue_id = write(things["Group"], {"Name": "Support Queue", "Type": "Queue"}, org.human_user_id)
    account = write(things["Account"], {"Name": "Halden Outdoor"}, org.human_user_id)
    for contact, case in CASES:
        link = {}
        if contact:
            email = f"{contact['FirstName']}.{contact['LastName']}@example.com".lower()
            values = {"MailingCountryCode": "US", "Email": email, "AccountId": account} | contact
            link = {"ContactId": write(things["Contact"], values, org.human_user_id), "AccountId": account}
        write(things["Case"], case | link, org.human_user_id)


def number(index: int) -> str:
    """The US number at this index: valid, and distinct for each index."""
    rest, area = divmod(index, len(AREA_CODES))
    exchange, line = divmod(rest, LINES)
    return f"+1{AREA_CODES[area]}{EXCHANGES[exchange]}{line:04d}"


def make_cases(org: "Side", count: int, first: int, values: dict[str, Any], contact: dict[str, Any]) -> list[str]:
    """Create cases, each with a contact who has their own number. Return the case ids."""
    cases, contacts = schema.OBJECTS["Case"], schema.OBJECTS["Contact"]
    made: list[store.Record] = []
    for index in range(first, first + count):
        person = {"FirstName": "Customer", "LastName": f"{index + 1:05d}", "MobilePhone": number(index)} | contact
        contact_id = org.store.create(contacts, person, org.human_user_id)
        made.append({"Subject": f"Case of customer {index + 1:05d}", "Origin": "Web", "ContactId": contact_id} | values)
    return [org.store.create(cases, case, org.human_user_id) for case in made]
