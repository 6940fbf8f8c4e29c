"""What the CRMs' settings make of the web side: the ways in for messages, for callers of the API, and for agents."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connector.environment import PREFIX
from connector.errors import BadSettings, Problems
from connector.mapping.rules import Mapping as TicketMapping
from connector.settings import Settings
from webhooks.agent_page import access
from webhooks.api import auth
from webhooks.receive import Entrance


@dataclass(frozen=True, slots=True)
class Doors:
    """By CRM. Nothing of it needs a database, so that it can be made to see whether it can."""

    entrances: dict[str, Sequence[Entrance]] = field(default_factory=dict)
    verifiers: dict[str, auth.Verify] = field(default_factory=dict)
    visitors: dict[str, access.Read] = field(default_factory=dict)


def opened(wanted: Settings, mappings: Mapping[str, TicketMapping]) -> Doors:
    """The doors that are set up. Raises BadSettings with everything that is wrong with any of them."""
    doors, problems = Doors(), Problems()
    for stem, mapping in mappings.items():
        with problems.noted():
            doors.entrances[stem] = importlib.import_module(f"webhooks.crms.{stem}").entrances(mapping.file)
        with problems.noted():
            doors.verifiers.update(auth.verifiers([stem]))
        with problems.noted():
            doors.visitors.update(access.visitors([stem]))
    with problems.noted():
        _require_frames(wanted, doors)
    problems.refuse()
    return doors


def _require_frames(wanted: Settings, doors: Doors) -> None:
    """A CRM shows the page in a frame of its own; where it could not be shown there, it is no door."""
    if doors.visitors and not wanted.frame_ancestors:
        raise BadSettings(
            f"{PREFIX}FRAME_ANCESTORS: expected the origins of {', '.join(doors.visitors)}, whose pages show ours in a "
            "frame, such as https://example.lightning.force.com"
        )
