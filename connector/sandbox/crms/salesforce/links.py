"""The agent page for a CRM without a built-in action: request a link from the connector, and send the agent there."""

from typing import TYPE_CHECKING

import httpx

from connector.sandbox import crms
from connector.sandbox.crms.salesforce import schema

if TYPE_CHECKING:
    from connector.sandbox.crms.salesforce import Side

SECONDS = 10.0


def ask(org: "Side", case_id: str) -> str:
    """A link for the org's human agent. Raises crms.Refused."""
    user = org.store.get(schema.OBJECTS["User"], org.human_user_id)
    agent = {"agent_name": f"{user['FirstName']} {user['LastName']}", "agent_email": user["Email"]}
    try:
        answer = httpx.post(
            f"{org.settings.agents_url}/v1/links",
            json={"ticket_id": case_id, "crm": "salesforce", **agent},
            headers={"Authorization": f"Bearer {org.settings.agents_key}"},
            timeout=SECONDS,
            trust_env=False,
        )
        url = str(answer.json()["url"]) if answer.is_success else ""
    except (httpx.HTTPError, ValueError, KeyError):
        raise crms.Refused("The connector does not answer; its page cannot be opened.") from None
    if not url:
        raise crms.Refused(f"The connector gives no link to its page: it answered {answer.status_code}.")
    return url
