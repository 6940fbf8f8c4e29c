"""Requirements on several settings together, beyond what each value must be by itself."""

from collections.abc import Callable
from urllib.parse import urlsplit

from connector import addresses, phone
from connector.environment import PREFIX
from connector.errors import BadSettings
from connector.settings import Settings


def require_safe_metrics(settings: Settings) -> None:
    """Require a key where a worker's metrics can be read from other machines. Raises BadSettings."""
    local = settings.worker_metrics_host in addresses.LOOPBACK
    if settings.worker_metrics_port and not local and not settings.metrics_keys:
        raise BadSettings(
            f"{PREFIX}WORKER_METRICS_HOST: expected an address of this machine only, such as 127.0.0.1, or a key in "
            f"{PREFIX}METRICS_KEYS"
        )


def require_ccaip(settings: Settings) -> None:
    """Require the settings that every text needs. Raises BadSettings."""
    checks: list[tuple[str, Callable[[], object], str]] = [
        ("CCAIP_SUBDOMAIN", lambda: settings.ccaip_subdomain, "the subdomain of your CCAI Platform address"),
        ("CCAIP_DOMAIN", lambda: settings.ccaip_domain or settings.ccaip_url, "its rest, such as uc1.ccaiplatform.com"),
        ("CCAIP_TOKEN", settings.ccaip_token.get_secret_value, "an API credential token of CCAI Platform"),
        ("CCAIP_OUTBOUND_NUMBER", lambda: settings.ccaip_outbound_number, "an SMS number of your tenant, E.164"),
    ]
    missing = [f"{PREFIX}{name}: expected {words}" for name, value, words in checks if not value()]
    if settings.trial_without and urlsplit(settings.ccaip_address).hostname not in addresses.LOOPBACK:
        missing.append(f"{PREFIX}TRIAL_WITHOUT: expected nothing; it is for trials with the sandbox, on this machine")
    number = settings.ccaip_outbound_number
    if number and not phone.E164.fullmatch(number):
        missing.append(f"{PREFIX}CCAIP_OUTBOUND_NUMBER: expected a number in E.164, such as +16285550199")
    if missing:
        raise BadSettings("\n".join(missing))
