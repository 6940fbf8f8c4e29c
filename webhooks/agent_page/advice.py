"""Findings that an agent cannot resolve on the page, with advice for each."""

from collections.abc import Sequence

from connector.mapping.schema import MappingFile
from connector.policy.findings import Said
from webhooks.api import schemas

# Checks that the agent can satisfy by editing the message. Any other stop is final or needs a reason.
IN_THE_BOX = ("content",)
# Advice by check. `kind` is the CRM's name for a ticket; `fields` are those that may hold the phone number.
ADVICE = {
    "phone": "Put a number that can get texts into {fields}, then look again.",
    "ticket": "If that is wrong, put it right in the {kind}, then look again.",
    "opt_out": "Nobody can override this. Reach the customer in another way.",
    "paused": "Nobody can send texts at the moment. Tell an admin, and look again later.",
    "mapping": "Tell an admin: the connector's mapping does not suit this {kind}.",
    "reason": "Nobody may override this here. Reach the customer in another way.",
    "window": "Nobody may override this here. Come back when that time is over, or reach the customer in another way.",
    "hours": "Nobody may override this here. Come back at another time of day, or reach the customer in another way.",
}
ELSE = "Reach the customer in another way, or ask an admin."


def final(seen: schemas.Preview) -> Sequence[schemas.Finding]:
    return [
        one for one in seen.findings if one.verdict is Said.STOP and not one.overridable and one.check not in IN_THE_BOX
    ]


def advice(finding: schemas.Finding, file: MappingFile) -> str:
    """The advice for a finding, in a sentence or two."""
    *others, last = (file.fields[name] for name in file.phones.prefer)
    fields = f"{', '.join(others)} or {last}" if others else last
    return ADVICE.get(finding.check, ELSE).format(kind=file.ticket.object.lower(), fields=fields)
