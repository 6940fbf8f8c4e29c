"""The sandbox: CCAI Platform, the CRMs and an identity provider, emulated on this machine for trials and tests.

    with sandbox.Sandbox(port=0).running() as box:
        httpx.post(f"{box.url}/apps/api/v1/sms", auth=("sandbox", "sandbox-token"), json={...})
        assert box.ccaip.texts[0].message == "Your order is ready."

The sandbox shares no code with the clients that it tests, holds no real credentials, and calls no other machine.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from connector.sandbox import app, ccaip, crms, faults, oidc, server, switches
from connector.sandbox.ccaip import guesses
from connector.sandbox.clock import Clock

__all__ = ["Clock", "Sandbox"]


class Sandbox:
    """The emulated remote sides: `ccaip`, `oidc`, and each CRM under its name (`salesforce`).

    Keyword arguments set any setting of a side (`ccaip.settings`, `oidc.settings`, `crms.salesforce`), for example
    `Sandbox(first_chat_id=114, outbound_message_url="http://127.0.0.1:8000/hooks")`. `switches` answers the questions
    that the vendors' documentation leaves open. Port 0 selects a free port. Raises ValueError for a host that is not a
    loopback address.
    """

    def __init__(
        self,
        port: int = 8787,
        host: str = "127.0.0.1",
        *,
        clock: Clock | None = None,
        switches: Mapping[str, switches.Value] | None = None,
        **settings: Any,
    ) -> None:
        if not server.is_loopback(host):
            raise ValueError(f"the sandbox has no real credentials and listens on loopback only, not on {host!r}")
        self.host, self.port = host, port
        self.clock = clock or Clock()
        self.faults = faults.Faults(self.clock)
        modules = crms.discover()
        self.switches = _switches(modules, switches)
        of_sides: dict[str, type[BaseModel]] = {"ccaip": ccaip.settings.Settings, "oidc": oidc.settings.Settings}
        chosen = _distribute(of_sides | {name: module.Settings for name, module in modules.items()}, settings)
        self.ccaip = ccaip.CcaiPlatform(self.clock, self.switches, chosen["ccaip"], self._knows_ticket)
        self.oidc = oidc.Provider(self.clock, chosen["oidc"])
        self.crms: dict[str, crms.Crm] = {
            name: module.Side(self.clock, self.switches, self.faults, chosen[name]) for name, module in modules.items()
        }
        self.sides: dict[str, Any] = {"ccaip": self.ccaip, "oidc": self.oidc, **self.crms}
        self.app = app.create(self, modules)

    def __getattr__(self, name: str) -> Any:
        sides = self.__dict__.get("crms", {})
        if name in sides:
            return sides[name]
        raise AttributeError(f"the sandbox has no {name!r}")

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @contextmanager
    def running(self) -> Iterator["Sandbox"]:
        """Serve in threads of this process until the block ends. Raises OSError when the port is in use."""
        listening = server.Server(self.host, self.port, self.app)
        self.port = listening.server_port
        serving = threading.Thread(target=listening.serve_forever, args=(0.02,), name="sandbox", daemon=True)
        serving.start()
        for crm in self.crms.values():
            crm.start(self.url)
        try:
            yield self
        finally:
            for crm in self.crms.values():
                crm.stop()
            self.ccaip.webhooks.stop()
            listening.close()
            serving.join()

    def serve(self) -> None:
        """Serve until interrupted."""
        with self.running():
            threading.Event().wait()

    def reset(self) -> None:
        """Restore the initial state: records, chats, logs, switches, settings, faults."""
        self.faults.clear()
        self.switches.reset()
        for side in self.sides.values():
            side.reset()

    def _knows_ticket(self, ticket_id: str) -> bool:
        return not ticket_id or any(crm.has_ticket(ticket_id) for crm in self.crms.values())


def _switches(modules: Mapping[str, crms.Module], chosen: Mapping[str, switches.Value] | None) -> switches.Switches:
    known = guesses.SWITCHES + tuple(switch for module in modules.values() for switch in module.SWITCHES)
    return switches.Switches(known, chosen)


def _distribute(models: Mapping[str, type[BaseModel]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Build each side's settings from the keywords that it knows. Raises TypeError for a keyword that no side knows."""
    unknown = [name for name in settings if not any(name in model.model_fields for model in models.values())]
    if unknown:
        raise TypeError(f"no side of the sandbox has a setting {', '.join(map(repr, unknown))}")
    return {
        side: model(**{name: value for name, value in settings.items() if name in model.model_fields})
        for side, model in models.items()
    }
