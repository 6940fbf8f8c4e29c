"""Validate addresses in settings. Each error suggests the value that was probably meant."""

import re
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationInfo

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def https_or_loopback(url: str) -> str:
    """Return the URL without a trailing slash. Plain http exposes secrets: it is accepted for loopback only."""
    parts = _https_or_loopback(url)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("expected an address such as https://host, without a path or anything else behind the host")
    return url.rstrip("/")


def https_or_loopback_path(url: str) -> str:
    """Return the URL unchanged. It may have a path, but no query and no fragment. Plain http: loopback only."""
    parts = _https_or_loopback(url)
    if parts.query or parts.fragment:
        raise ValueError("expected an address such as https://host/path, without a query or a fragment")
    return url


def _https_or_loopback(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.port == 0
    except ValueError:
        raise ValueError("expected an address such as https://host") from None
    if wrong:
        raise ValueError("expected an address such as https://host")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("expected https://; plain http is for addresses of this machine only")
    return parts


def subdomain(given: str) -> str:
    """Validate the subdomain of a CCAI Platform address."""
    if re.fullmatch(r"[A-Za-z0-9-]*", given):
        return given
    whole = "; this looks like a whole address: take what stands before its first dot" if "." in given else ""
    raise ValueError(f"expected the subdomain of your CCAI Platform address alone, such as acme{whole}")


def domain(given: str, info: ValidationInfo) -> str:
    """Validate the domain of a CCAI Platform address, without the subdomain."""
    words = "expected your CCAI Platform address without the subdomain, such as uc1.ccaiplatform.com"
    if not re.fullmatch(r"[A-Za-z0-9.-]*", given):
        whole = "; this looks like a whole address: leave out https:// and any path" if "/" in given else ""
        raise ValueError(f"{words}{whole}")
    if (before := info.data.get("ccaip_subdomain")) and given.lower().startswith(f"{before.lower()}."):
        raise ValueError(f"{words}; this begins with the subdomain, which would be there twice")
    return given
