"""What the settings and mapping files make: the parts that both the worker and `connector check` need."""

from connector import ccaip, crms, http, mapping_check
from connector.mapping import Mapping
from connector.settings import Settings, require_ccaip


def mappings(settings: Settings) -> dict[str, Mapping]:
    """The mapping of each CRM that has a file. Raises BadMapping or BadSettings."""
    return {
        stem: Mapping(
            mapping_check.load(settings.mappings_dir / f"{stem}.toml"),
            settings.ccaip_outbound_number,
            settings.countries,
            frozenset(settings.trial_without),
        )
        for stem in crms.stems(settings.mappings_dir)
    }


def account(settings: Settings) -> ccaip.Account:
    """The CCAI Platform account of these settings. Raises BadSettings."""
    require_ccaip(settings)
    return ccaip.Account(
        address=settings.ccaip_address,
        subdomain=settings.ccaip_subdomain,
        token=settings.ccaip_token.get_secret_value(),
        chat_type=settings.ccaip_chat_type,
        agent_spelling=settings.ccaip_agent_spelling,
        connect_timeout=settings.ccaip_connect_timeout,
        read_timeout=settings.ccaip_read_timeout,
        network=http.load(),
    )
