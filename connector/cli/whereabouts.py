"""The database, org and tenant that a command uses. They show when it reads the settings of an unexpected folder."""

import importlib
from urllib.parse import urlsplit

from connector import crms
from connector.settings import Settings
from connector.store import postgres


def said(settings: Settings) -> str:
    """Describe them in one line, without passwords. Makes no calls, creates nothing. Raises BadSettings."""
    tenant = _host(settings.ccaip_address) if settings.ccaip_subdomain or settings.ccaip_url else ""
    orgs = {crm_name: importlib.import_module(f"connector.crms.{crm_name}").address() for crm_name in crms.known()}
    parts = {
        "database": postgres.place(settings),
        **{f"{crm_name} org": _host(address) for crm_name, address in orgs.items()},
        "CCAI Platform tenant": tenant,
    }
    return "; ".join(f"{name}: {value or 'not set'}" for name, value in parts.items())


def _host(address: str) -> str:
    try:
        return urlsplit(address).netloc.rpartition("@")[2]
    except ValueError:
        return ""
