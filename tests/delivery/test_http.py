"""The way to the remote sides, the same for texts, for the list of chats and for Salesforce: proxy, authorities,
certificate, one deadline for a call, and a limit of size.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connector.ccaip import chats
from connector.ccaip.client import Account, Client
from connector.crms.salesforce.session import Session
from connector.crms.salesforce.settings import Settings
from connector.errors import BadSettings, CallFailed, OutcomeUnknown, Unavailable
from connector.http import config
from connector.http.config import Network
from connector.model import OutboundSms
from tests.support.authority import Authority, Proxy, Site

SMS = OutboundSms("+14155550100", "+16285550199", "lorem ipsum", "5006x00000XXxxxXXX")
SECONDS = 1.0
Reach = Callable[[str, Network], object]


def account(url: str, network: Network) -> Account:
    return Account(url, "customer", "token", read_timeout=SECONDS, network=network)


async def send(url: str, network: Network, *more: Any) -> object:
    client = Client(account(url, network))
    try:
        return await client.send(SMS, *more)
    finally:
        await client.close()


def text(url: str, network: Network) -> object:
    return asyncio.run(send(url, network))


def list_chats(url: str, network: Network) -> object:
    return list(chats.pages(account(url, network), datetime.now(UTC), lambda: None))


def salesforce(url: str, network: Network) -> object:
    wanted = Settings(
        url=url,
        client_id="app",
        client_secret=SecretStr("secret"),
        read_timeout=SECONDS,
        _env_file=None,
        _env_prefix="NOBODY_SETS_THIS_",
    )
    with closing(Session(wanted, network)) as session:
        return session.call("limits")


ALL = pytest.mark.parametrize("reach", [text, list_chats, salesforce])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def site(authority: Authority) -> Iterator[Site]:
    with Site(authority.certify("site")).open() as site:
        yield site


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(tmp_path).open() as proxy:
        yield proxy


@ALL
def test_a_private_authority_is_trusted_where_it_is_named(site: Site, authority: Authority, reach: Reach) -> None:
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        reach(site.url, Network())
    assert site.heard == []

    reach(site.url, Network(authorities=authority.path))

    assert site.heard


@ALL
def test_a_certificate_is_shown_to_a_server_that_asks_for_one(authority: Authority, reach: Reach) -> None:
    with Site(authority.certify("site"), authority.path).open() as site:
        with pytest.raises(CallFailed):
            reach(site.url, Network(authorities=authority.path))
        assert site.heard == []

        reach(site.url, Network(authorities=authority.path, certificate=authority.certify("client")))

        assert site.heard


@ALL
def test_a_proxy_is_used(site: Site, authority: Authority, proxy: Proxy, reach: Reach) -> None:
    reach(site.url, Network(proxy.url, authorities=authority.path))

    assert (proxy.connected(), bool(site.heard)) == (1, True)


@ALL
def test_a_host_that_needs_no_proxy_is_reached_directly(site: Site, authority: Authority, reach: Reach) -> None:
    reach(site.url, Network("http://127.0.0.1:1", ("127.0.0.1",), authority.path))

    assert site.heard


@ALL
def test_a_proxy_that_refuses_has_certainly_sent_nothing(
    site: Site, authority: Authority, tmp_path: Path, reach: Reach
) -> None:
    with Proxy(tmp_path, ports=(1,)).open() as proxy, pytest.raises(Unavailable, match="ProxyError 403"):
        reach(site.url, Network(proxy.url, authorities=authority.path))
    assert site.heard == []


@ALL
def test_a_proxy_that_is_not_there_has_certainly_sent_nothing(site: Site, authority: Authority, reach: Reach) -> None:
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        reach(site.url, Network("http://127.0.0.1:1", authorities=authority.path))


@ALL
def test_a_proxy_is_told_its_password_and_nobody_else(
    site: Site, authority: Authority, tmp_path: Path, reach: Reach
) -> None:
    with Proxy(tmp_path, "me hush").open() as proxy:
        for password, fits in (("hush", True), ("wrong-one", False)):
            network = Network(proxy.url.replace("//", f"//me:{password}@"), authorities=authority.path)
            assert password not in repr(network)
            if fits:
                reach(site.url, network)
                continue
            with pytest.raises(Unavailable, match=r"ProxyError 40[0-9]") as caught:
                reach(site.url, network)
            assert password not in str(caught.value)


def test_a_call_through_a_proxy_waits_for_its_turn_when_the_tunnel_stands(
    site: Site, authority: Authority, proxy: Proxy
) -> None:
    """The request to the proxy is not the request itself: `may_leave` is awaited once, after it."""
    seen: list[tuple[int, int]] = []

    async def before_send() -> None:
        await asyncio.sleep(0.1)
        seen.append((proxy.connected(), len(site.heard)))

    asyncio.run(send(site.url, Network(proxy.url, authorities=authority.path), before_send))

    assert seen == [(1, 0)]
    assert len(site.heard) == 1


def test_a_call_through_a_proxy_that_may_not_leave_has_not(site: Site, authority: Authority, proxy: Proxy) -> None:
    async def may_not() -> None:
        raise KeyError("not now")

    with pytest.raises(KeyError):
        asyncio.run(send(site.url, Network(proxy.url, authorities=authority.path), may_not))
    assert site.heard == []


def test_a_tunnel_is_kept_for_the_next_call(site: Site, authority: Authority, proxy: Proxy) -> None:
    async def twice() -> None:
        client = Client(account(site.url, Network(proxy.url, authorities=authority.path)))
        for _ in range(3):
            await client.send(SMS)
        await client.close()

    asyncio.run(twice())

    assert (proxy.connected(), len(site.heard)) == (1, 3)


@ALL
def test_an_answer_drop_by_drop_ends_at_the_deadline_of_the_call(
    site: Site, authority: Authority, reach: Reach
) -> None:
    """Each drop comes in time, the whole does not."""
    site.manner = "drops"
    began = time.monotonic()

    with pytest.raises(OutcomeUnknown if reach is text else Unavailable, match="TimeoutError"):
        reach(site.url, Network(authorities=authority.path))

    assert time.monotonic() < began + SECONDS + 2


@ALL
def test_an_answer_that_unpacks_to_too_much_is_none(site: Site, authority: Authority, reach: Reach) -> None:
    site.manner = "bomb"

    with pytest.raises(OutcomeUnknown if reach is text else Unavailable, match="TooLarge"):
        reach(site.url, Network(authorities=authority.path))


@ALL
@pytest.mark.parametrize("trusted", ["", "true"])
def test_a_netrc_is_never_read(
    site: Site, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, reach: Reach
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n", encoding="utf-8")
    netrc.chmod(0o600)
    for name, value in (("HOME", tmp_path), ("NETRC", netrc), ("CONNECTOR_TRUST_ENVIRONMENT", trusted)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("CONNECTOR_CA_FILE", str(authority.path))

    reach(site.url, config.load())

    credentials = {None, "Bearer token", "Basic Y3VzdG9tZXI6dG9rZW4="}
    assert {authorization for _, authorization in site.heard} <= credentials


@pytest.fixture
def environment(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine whose programs have a proxy, and authorities of its own."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,.inner.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    return monkeypatch


def test_the_environment_counts_only_where_it_is_trusted(environment: pytest.MonkeyPatch, authority: Authority) -> None:
    assert config.load() == Network()

    environment.setenv("CONNECTOR_TRUST_ENVIRONMENT", "true")

    assert config.load() == Network("http://proxy.example:3128", ("localhost", ".inner.example"), authority.path)


def test_our_own_variables_win_over_those_of_the_environment(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    environment.setenv("CONNECTOR_TRUST_ENVIRONMENT", "true")
    environment.setenv("CONNECTOR_HTTPS_PROXY", "http://other.example:1")

    assert config.load() == Network("http://other.example:1", ("localhost", ".inner.example"), authority.path)


@ALL
def test_an_environment_that_is_not_trusted_leads_nowhere(
    site: Site, authority: Authority, monkeypatch: pytest.MonkeyPatch, reach: Reach
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "/nowhere")

    reach(site.url, Network(authorities=authority.path))

    assert site.heard


@pytest.mark.parametrize(
    ("exceptions", "address", "direct"),
    [
        ("*", "https://a.example", True),
        ("a.example", "https://a.example", True),
        ("example", "https://a.example", True),
        (".example", "https://a.example", True),
        ("*.example", "https://A.EXAMPLE", True),
        ("a.example:443", "https://a.example", True),
        ("a.example:8443", "https://a.example", False),
        ("a.example:8443", "https://a.example:8443", True),
        ("ample", "https://a.example", False),
        ("a.example.org", "https://a.example", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3:8443", True),
        ("::1", "https://[::1]:8443", True),
        ("", "https://a.example", False),
        ("nowhere, a.example", "https://a.example", True),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, address: str, direct: bool
) -> None:
    monkeypatch.setenv("CONNECTOR_HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("CONNECTOR_NO_PROXY", exceptions)

    assert (config.load().proxy_for(address) is None) is direct


def test_plain_http_on_this_machine_needs_no_proxy() -> None:
    assert Network("http://proxy.example:3128").proxy_for("http://127.0.0.1:8070") is None


@pytest.mark.parametrize("variable", ["CONNECTOR_HTTPS_PROXY", "HTTPS_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "socks5://me:hush@a.example",
        "http://",
        "http://me:hush@a.example/path",
        "http://me:hush@a.example:99999",
        "ftp://a",
        "http://a.example:0",
        "http://[a",
    ],
)
def test_what_is_no_proxy_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("CONNECTOR_TRUST_ENVIRONMENT", "true")
    monkeypatch.setenv(variable, value)

    with pytest.raises(BadSettings, match=f"^{variable}: expected the address of an HTTP proxy") as caught:
        config.load()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "content", "words"),
    [
        ("CA_FILE", None, "cannot be read"),
        ("CA_FILE", b"nothing", "holds no certificates in PEM"),
        ("CA_FILE", b"\x30\x82", "holds no certificates in PEM"),
        ("CLIENT_CERTIFICATE", None, "cannot be read"),
        ("CLIENT_CERTIFICATE", b"nothing", "have to hold a certificate"),
        ("CLIENT_KEY", b"x", "CERTIFICATE: expected"),
    ],
)
def test_a_file_that_is_of_no_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(f"CONNECTOR_{variable}", str(path))

    with pytest.raises(BadSettings, match=f"^CONNECTOR_.*{words}"):
        config.load()


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_CLIENT_CERTIFICATE", str(authority.certify("locked", b"hush")))

    with pytest.raises(BadSettings, match=r"^CONNECTOR_CLIENT_CERTIFICATE: .* not encrypted"):
        config.load()
