"""What each CRM adds to the web process: webhook routes, token verifiers, and readers of signed requests for agents."""

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
    """The hooks by CRM. They need no database, so that preflight can build them."""

    routes: dict[str, Sequence[WebhookRoute]] = field(default_factory=dict)
    verifiers: dict[str, auth.Verify] = field(default_factory=dict)
    session_readers: dict[str, access.Read] = field(default_factory=dict)


def opened(settings: Settings, mappings: Mapping[str, TicketMapping]) -> CrmHooks:
    """The hooks that are set up. Raises BadSettings with all problems."""
    hooks, problems = CrmHooks(), Problems()
    for crm_name, mapping in mappings.items():
        with problems.noted():
            hooks.routes[crm_name] = importlib.import_module(f"webhooks.crms.{crm_name}").routes(mapping.file)
        with problems.noted():
            hooks.verifiers.update(auth.verifiers([crm_name]))
        with problems.noted():
            hooks.session_readers.update(access.session_readers([crm_name]))
    with problems.noted():
        _require_frames(settings, hooks)
    problems.refuse()
    return hooks


def _require_frames(settings: Settings, hooks: CrmHooks) -> None:
    """Require FRAME_ANCESTORS when a CRM shows the agent page in a frame. Raises BadSettings."""
    if hooks.session_readers and not settings.frame_ancestors:
        raise BadSettings(
            f"{PREFIX}FRAME_ANCESTORS: expected the origins of {', '.join(hooks.session_readers)}, whose pages show "
            "ours in a frame, such as https://example.lightning.force.com"
        )
