"""Settings of all HTTP clients: the proxy, the trusted certificate authorities, and the client certificate.

docs/deployment.md documents the variables: "Behind a proxy, with a private certificate authority". `.netrc` is never
read.
"""

import functools
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from connector import environment, setting_types, settings

PROXY = "expected the address of an HTTP proxy, such as http://proxy.example:3128"


@dataclass(frozen=True, slots=True)
class Network:
    """The route to the remote sides. Without a proxy: direct. Without `authorities`: the public ones are trusted."""

    proxy: str = field(default="", repr=False)  # it may hold a password
    no_proxy: tuple[str, ...] = ()
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def proxy_for(self, address: str) -> httpx.Proxy | None:
        """Return the proxy for an https:// address. Plain http is for this machine only and needs none."""
        if urlsplit(address).scheme != "https" or not self.proxy or self._is_direct(address):
            return None
        return httpx.Proxy(self.proxy, ssl_context=self.tls() if self.proxy.startswith("https:") else None)

    def tls(self) -> ssl.SSLContext:
        """Return the TLS context with authorities and client certificate. Raises OSError if a file cannot be used."""
        return _tls(self.authorities, self.certificate, self.key)

    def _is_direct(self, address: str) -> bool:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip("."), str(parts.port or 443)
        return any(_matches(host, port, exception.lower()) for exception in self.no_proxy)


def _matches(host: str, port: str, exception: str) -> bool:
    """Return whether an entry of NO_PROXY names the host: "*", a domain with its subdomains, an address, a network."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(exception.strip("[]"), strict=False)
    except ValueError:
        name, _, its_port = exception.partition(":")
    name = name.removeprefix("*").strip(".")
    right_port = its_port in ("", port)
    return exception == "*" or (bool(name) and right_port and f".{host}".endswith(f".{name}"))


@functools.cache
def _tls(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return the TLS context. It is cached, because creating it takes longer than a call."""
    if authorities:
        context = ssl.create_default_context(cafile=authorities)
    else:
        context = httpx.create_ssl_context(trust_env=False)
    if certificate:
        context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _no_password() -> str:
    """Return an empty password, so that OpenSSL does not prompt at the terminal."""
    return ""


def _proxy(address: SecretStr) -> SecretStr:
    given = address.get_secret_value().strip()
    given = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(given)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.Proxy(given)
    except (ValueError, httpx.InvalidURL):
        raise ValueError(PROXY) from None
    if not known or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(PROXY)
    return SecretStr(given)


def _file(path: Path) -> Path:
    try:
        path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    return path.absolute()


def _authorities(path: Path) -> Path:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificates in PEM (-----BEGIN CERTIFICATE-----)") from None
    return path


ProxyAddress = Annotated[SecretStr, AfterValidator(_proxy)]
File = Annotated[Path, AfterValidator(_file)]
Authorities = Annotated[File, AfterValidator(_authorities)]


class Settings(environment.FromEnvironment):
    """The route to the remote sides, in CONNECTOR_… variables."""

    https_proxy: ProxyAddress | None = None
    """HTTP proxy to CCAI Platform and the CRM, `http://[user:password@]host:port`: [behind a
    proxy](deployment.md#behind-a-proxy-with-a-private-certificate-authority).
    """
    no_proxy: setting_types.Words = []
    """Hosts that bypass the proxy."""
    ca_file: Authorities | None = None
    """Certificate authorities (PEM) to trust instead of the public ones."""
    client_key: File | None = None
    """Private key of the client certificate, unless it is in the same file."""
    client_certificate: File | None = Field(default=None, validate_default=True)
    """Client certificate (PEM), for servers that require one."""
    trust_environment: bool = False
    """`true`: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE` are used too."""

    @field_validator("client_certificate")
    @classmethod
    def _with_its_key(cls, certificate: Path | None, info: ValidationInfo) -> Path | None:
        key = info.data.get("client_key")
        if certificate is None:
            if key:
                raise ValueError("expected the certificate of CONNECTOR_CLIENT_KEY")
            return None
        try:
            _tls(None, certificate, key)
        except ssl.SSLError:
            raise ValueError(
                f"{certificate} and CONNECTOR_CLIENT_KEY (or the same file) have to hold a certificate in PEM and its "
                "private key, which is not encrypted"
            ) from None
        return certificate


class Common(environment.OfAllPrograms):
    """The same settings, in variables shared with other programs."""

    https_proxy: ProxyAddress | None = None
    no_proxy: setting_types.Words = []
    ssl_cert_file: Authorities | None = None
    requests_ca_bundle: Authorities | None = None


def load() -> Network:
    """Return the configured route; CONNECTOR_… variables win over shared ones. Raises BadSettings."""
    own = settings.load(Settings)
    common = settings.load(Common) if own.trust_environment else Common.model_construct()
    proxy = own.https_proxy or common.https_proxy
    return Network(
        proxy=proxy.get_secret_value() if proxy else "",
        no_proxy=tuple(own.no_proxy or common.no_proxy),
        authorities=own.ca_file or common.ssl_cert_file or common.requests_ca_bundle,
        certificate=own.client_certificate,
        key=own.client_key,
    )
