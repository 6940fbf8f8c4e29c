"""What the CRMs' settings make of the web process: the ways in for messages, for callers of the API, and for agents."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connector.environment import PREFIX
from connector.errors import BadSettings, Problems
from connector.mapping.rules import Mapping as TicketMapping
from connector.settings import Settings
from webhooks.agent_page import access
from webhooks.api import auth
from webhooks.receive import WebhookRoute


@dataclass(frozen=True, slots=True)
class CrmHooks:
    """By CRM. Nothing of it needs a database, so that it can be made to see whether it can."""

    entrances: dict[str, Sequence[WebhookRoute]] = field(default_factory=dict)
    verifiers: dict[str, auth.Verify] = field(default_factory=dict)
    visitors: dict[str, access.Read] = field(default_factory=dict)


def opened(wanted: Settings, mappings: Mapping[str, TicketMapping]) -> CrmHooks:
    """The channels that are set up. Raises BadSettings with everything that is wrong with any of them."""
    hooks, problems = CrmHooks(), Problems()
    for stem, mapping in mappings.items():
        with problems.noted():
            hooks.entrances[stem] = importlib.import_module(f"webhooks.crms.{stem}").entrances(mapping.file)
        with problems.noted():
            hooks.verifiers.update(auth.verifiers([stem]))
        with problems.noted():
            hooks.visitors.update(access.visitors([stem]))
    with problems.noted():
        _require_frames(wanted, hooks)
    problems.refuse()
    return hooks


def _require_frames(wanted: Settings, hooks: CrmHooks) -> None:
    """A CRM shows the page in a frame of its own; where it could not be shown there, it is no channel."""
    if hooks.visitors and not wanted.frame_ancestors:
        raise BadSettings(
            f"{PREFIX}FRAME_ANCESTORS: expected the origins of {', '.join(hooks.visitors)}, whose pages show ours in a "
            "frame, such as https://example.lightning.force.com"
        )
