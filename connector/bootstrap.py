"""Build the parts that the worker and `connector check` share, from settings and mapping files."""

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import replace

from connector import crms
from connector.ccaip.client import Account
from connector.http import config
from connector.mapping import daily_budgets, hints, loader
from connector.mapping.rules import Mapping
from connector.policy.daily_budget import Budgets
from connector.policy.opt_out_words import ExtraWords
from connector.settings import Settings
from connector.settings_checks import require_ccaip


def mappings(settings: Settings) -> dict[str, Mapping]:
    """Return the mapping of each CRM that has a mapping file. Raises BadMapping or BadSettings."""
    found = {
        crm_name: Mapping(
            loader.load(settings.mappings_dir / f"{crm_name}.toml"),
            settings.ccaip_outbound_number,
            settings.countries,
            frozenset(settings.trial_without),
        )
        for crm_name in crms.names(settings.mappings_dir)
    }
    budgets = daily_budgets.of(
        {str(settings.mappings_dir / f"{crm_name}.toml"): one for crm_name, one in found.items()}
    )
    return {crm_name: replace(mapping, budgets=budgets) for crm_name, mapping in found.items()}


def budgets(found: Iterable[Mapping]) -> Budgets:
    """Return the daily budgets by outbound number, from all of these mappings."""
    return {number: budget for mapping in found for number, budget in mapping.budgets.items()}


def opt_out_words(found: MappingOf[str, Mapping]) -> ExtraWords:
    """Return the words that these mapping files add. A message is compared with those of all files."""
    keys = [mapping.file.opt_outs for mapping in found.values()]
    return ExtraWords(
        tuple(word for key in keys for word in key.words), tuple(word for key in keys for word in key.start_words)
    )


def advice(settings: Settings, found: MappingOf[str, Mapping]) -> list[str]:
    """Return warnings about valid but probably unintended content of these mapping files."""
    paths = {settings.mappings_dir / f"{crm_name}.toml": mapping.file for crm_name, mapping in found.items()}
    return [
        f"{path}, {words}" for path, file in paths.items() for words in hints.of(file, path.read_text(encoding="utf-8"))
    ]


def account(settings: Settings) -> Account:
    """Return the CCAI Platform account of these settings. Raises BadSettings."""
    require_ccaip(settings)
    return Account(
        address=settings.ccaip_address,
        subdomain=settings.ccaip_subdomain,
        token=settings.ccaip_token.get_secret_value(),
        chat_type=settings.ccaip_chat_type,
        agent_spelling=settings.ccaip_agent_spelling,
        connect_timeout=settings.ccaip_connect_timeout,
        read_timeout=settings.ccaip_read_timeout,
        network=config.load(),
        opted_out_messages=frozenset(message.lower() for message in settings.ccaip_opted_out_messages),
    )
