"""Bad settings are refused at start, by the variable's name, and no secret is ever shown."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from connector import environment, secret_files, settings, settings_checks
from connector.crms.salesforce import settings as salesforce
from connector.errors import BadSettings, Problems
from tests.support import settings_docs

README = Path(__file__).parent.parent.parent / "README.md"
SECRET = "a-secret-of-more-than-24-characters"
ORG = "00D6x0000008abcEAA"
# Every secret setting. This table is what the docs promise: each is also …_FILE.
SECRETS = [
    "CONNECTOR_DATABASE_URL",
    "CONNECTOR_PSEUDONYM_KEY",
    "CONNECTOR_METRICS_KEYS",
    "CONNECTOR_CCAIP_TOKEN",
    "CONNECTOR_CCAIP_WEBHOOK_PRIMARY_SECRET",
    "CONNECTOR_CCAIP_WEBHOOK_SECONDARY_SECRET",
    "CONNECTOR_HTTPS_PROXY",
    "CONNECTOR_OIDC_CLIENT_SECRET",
    "CONNECTOR_SALESFORCE_JWT_KEY",
    "CONNECTOR_SALESFORCE_CLIENT_SECRET",
    "CONNECTOR_SALESFORCE_WEBHOOK_SECRETS",
    "CONNECTOR_SALESFORCE_WEBHOOK_KEYS",
    "CONNECTOR_SALESFORCE_OUTBOUND_MESSAGE_TOKENS",
    "CONNECTOR_SALESFORCE_CANVAS_SECRETS",
]


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and a working folder without an .env file."""
    import os

    for name in [name for name in os.environ if name.upper().startswith("CONNECTOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CCAIP_URL", "http://customer.example", "plain http is for addresses of this machine only"),
        ("CCAIP_URL", "http://127.0.0.1.evil.example", "plain http"),
        ("CCAIP_URL", "http://10.0.0.1:8090", "plain http"),
        ("CCAIP_URL", "ftp://customer.example", "expected an address"),
        ("CCAIP_URL", "customer.example", "expected an address"),
        ("CCAIP_URL", "https://", "expected an address"),
        ("CCAIP_URL", "https://user:password@customer.example", "expected an address"),
        ("CCAIP_URL", "https://:password@customer.example", "expected an address"),
        ("CCAIP_URL", "https://customer.example/path", "expected an address"),
        ("CCAIP_URL", "https://customer.example?a=b", "expected an address"),
        ("CCAIP_URL", "https://customer.example#a", "expected an address"),
        ("CCAIP_URL", "https://customer.example:port", "expected an address"),
        ("CCAIP_URL", "https://[customer", "expected an address|Invalid IPv6"),
        ("CCAIP_SUBDOMAIN", "customer.evil", "a whole address"),
        ("CCAIP_SUBDOMAIN", "evil/", "alone, such as acme"),
        ("CCAIP_DOMAIN", "a/b", "a whole address"),
        ("CCAIP_DOMAIN", "a@b", "without the subdomain"),
        ("CCAIP_AGENT_SPELLING", "agentID", "agentId"),
        ("CCAIP_REQUESTS_PER_SECOND", "-1", "at least 0"),
        ("CCAIP_REQUESTS_PER_SECOND", "many", "number"),
        ("CCAIP_REQUESTS_PER_SECOND", "nan", "number|finite|greater"),
        ("CCAIP_REQUESTS_PER_SECOND", "inf", "number|finite"),
        ("CCAIP_CONNECT_TIMEOUT", "0", "more than 0"),
        ("CCAIP_READ_TIMEOUT", "-1", "more than 0"),
        ("CCAIP_READ_TIMEOUT", "inf", "a finite number"),
        ("BUSY_SECONDS", "inf", "a finite number"),
        ("PORT", "0", "at least 1"),
        ("PORT", "65536", "at most 65535"),
        ("PORT", "http", "a whole number"),
        ("WEB_THREADS", "0", "at least 1"),
        ("CCAIP_REQUESTS_AT_ONCE", "401", "at most 400"),
        ("MAX_BODY_BYTES", "10", "at least 1000"),
        ("WRITE_BACK_HOLD_SECONDS", "61", "at most 60"),
        ("BUSY_SECONDS", "-1", "at least 0"),
        ("COUNTRIES", "us", "country|COUNTRIES"),
        ("COUNTRIES", "US, UK", "country|COUNTRIES"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"CONNECTOR_{variable}", value)
    with pytest.raises(BadSettings, match=words) as caught:
        settings.load()
    assert f"CONNECTOR_{variable}: " in str(caught.value)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://customer.example/", "https://customer.example"),
        ("https://customer.example:8443", "https://customer.example:8443"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://localhost:8090/", "http://localhost:8090"),
        ("http://[::1]:8090", "http://[::1]:8090"),
    ],
)
def test_an_address_is_https_or_of_this_machine(monkeypatch: pytest.MonkeyPatch, given: str, address: str) -> None:
    monkeypatch.setenv("CONNECTOR_CCAIP_URL", given)
    assert settings.load().ccaip_address == address


def test_an_address_is_made_of_subdomain_and_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_CCAIP_SUBDOMAIN", "customer")
    monkeypatch.setenv("CONNECTOR_CCAIP_DOMAIN", "uc1.ccaiplatform.com")
    assert settings.load().ccaip_address == "https://customer.uc1.ccaiplatform.com"


def test_every_problem_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_PORT", "x")
    monkeypatch.setenv("CONNECTOR_CCAIP_URL", "x")
    with pytest.raises(BadSettings, match=r"CONNECTOR_PORT: [\s\S]*CONNECTOR_CCAIP_URL: "):
        settings.load()


def test_what_is_wrong_is_noted_and_the_rest_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PORT", "x"), ("COUNTRIES", "us"), ("HOST", "127.0.0.2"), ("DATA_DIR", "/somewhere")):
        monkeypatch.setenv(f"CONNECTOR_{name}", value)
    problems = Problems()
    found = settings.load_with_defaults(problems)
    assert [one.split(":")[0] for one in problems] == ["CONNECTOR_PORT", "CONNECTOR_COUNTRIES"]
    assert (found.host, found.port, found.countries, str(found.data_dir)) == ("127.0.0.2", 8080, ["US"], "/somewhere")
    with pytest.raises(BadSettings, match=r"CONNECTOR_PORT: [\s\S]*CONNECTOR_COUNTRIES: "):
        problems.refuse()


def test_every_setting_is_described_and_the_page_is_current() -> None:
    assert settings_docs.PATH.read_text(encoding="utf-8") == settings_docs.page(), (
        "run: python -m tests.support.settings_docs"
    )
    described = set(re.findall(r"^\| `(CONNECTOR_[A-Z_]+)` \| ", settings_docs.page(), re.MULTILINE))
    kinds = [kind for kind in environment.kinds() if kind.__module__.startswith("connector.")]
    every = {f"{environment.prefix(kind)}{name}".upper() for kind in kinds for name in kind.model_fields}
    assert len(every) > 30
    assert described == every


def test_every_variable_of_the_readme_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    names = re.findall(r"^ *(CONNECTOR_[A-Z_]+)=", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) == 10
    for name in names:
        monkeypatch.setenv(name, "1")
    for secret in SECRETS:
        monkeypatch.setenv(f"{secret}_FILE", "1")
    assert environment.unknown() == []
    monkeypatch.setenv("CONNECTOR_SALESFORCE_API_ISUER", "1")
    [said] = environment.unknown()
    assert "did you mean CONNECTOR_SALESFORCE_API_ISSUER?" in said


def test_all_settings_stand_where_every_process_loads_them() -> None:
    import webhooks.app
    import webhooks.crms.salesforce

    assert webhooks.app
    kinds = list(environment.kinds())
    assert len(kinds) > 4
    assert {kind.__module__.partition(".")[0] for kind in kinds} == {"connector"}


def test_the_table_has_every_secret() -> None:
    assert sorted(SECRETS) == sorted(one for kind in environment.kinds() for one in secret_files.secrets_of(kind))


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_noticed(tmp_path: Path, mode: int, open_to_others: bool) -> None:
    assert environment.exposed() == []
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(mode)
    assert bool(environment.exposed()) is open_to_others


@pytest.mark.parametrize(
    ("value", "countries"),
    [("US", ["US"]), ("US,CA", ["US", "CA"]), ("US CA", ["US", "CA"]), (" US , CA ,", ["US", "CA"])],
)
def test_lists_are_split_by_commas_and_spaces(
    monkeypatch: pytest.MonkeyPatch, value: str, countries: list[str]
) -> None:
    monkeypatch.setenv("CONNECTOR_COUNTRIES", value)
    assert settings.load().countries == countries


def test_an_env_file_is_read_and_the_environment_wins_over_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CONNECTOR_PORT=8001\nCONNECTOR_HOST=127.0.0.2\nCONNECTOR_WEB_THREADS=3\nOTHER=1\n")
    monkeypatch.setenv("CONNECTOR_PORT", "8002")
    monkeypatch.setenv("CONNECTOR_WEB_THREADS", "4")
    found: settings.Settings = settings.load(web_threads=5)
    assert (found.host, found.port, found.web_threads) == ("127.0.0.2", 8002, 5)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CCAIP_TOKEN", "DATABASE_URL"):
        monkeypatch.setenv(f"CONNECTOR_{name}", SECRET)
    found: settings.Settings = settings.load()
    assert SECRET not in f"{found!r} {found!s} {found.model_dump()} {found.model_dump_json()}"
    assert found.ccaip_token.get_secret_value() == SECRET


COMPLETE: dict[str, Any] = {
    "ccaip_subdomain": "customer",
    "ccaip_domain": "uc1.ccaiplatform.com",
    "ccaip_token": SECRET,
    "ccaip_outbound_number": "+16285550199",
}


def test_complete_settings_are_enough() -> None:
    settings_checks.require_ccaip(settings.load(**COMPLETE))


@pytest.mark.parametrize("missing", COMPLETE)
def test_what_a_text_needs_is_required(missing: str) -> None:
    with pytest.raises(BadSettings, match=f"^CONNECTOR_{missing.upper()}: expected") as caught:
        settings_checks.require_ccaip(settings.load(**COMPLETE | {missing: ""}))
    assert SECRET not in str(caught.value)
    assert str(caught.value).count("CONNECTOR_") == 1


@pytest.mark.parametrize("number", ["6285550199", "+1", "+1 628-555", "call", "(628) 555-0199", "+1 628-555-0199"])
def test_the_outbound_number_is_e164(number: str) -> None:
    with pytest.raises(BadSettings, match=r"CONNECTOR_CCAIP_OUTBOUND_NUMBER: expected a number in E\.164"):
        settings_checks.require_ccaip(settings.load(**COMPLETE | {"ccaip_outbound_number": number}))


SALESFORCE = {"URL": "https://org.my.salesforce.com", "CLIENT_ID": "id", "CLIENT_SECRET": SECRET}


def of_salesforce(monkeypatch: pytest.MonkeyPatch, **variables: str | None) -> salesforce.Settings:
    for name, value in (SALESFORCE | variables).items():
        if value is not None:
            monkeypatch.setenv(f"CONNECTOR_SALESFORCE_{name}", value)
    return salesforce.load()


@pytest.mark.parametrize(
    "variables", [{}, {"CLIENT_SECRET": None, "JWT_KEY": SECRET, "USERNAME": "a@b.example"}], ids=["secret", "key"]
)
def test_an_org_is_reached_by_a_secret_or_a_key(monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any]) -> None:
    found = of_salesforce(monkeypatch, **variables)
    assert found.url == "https://org.my.salesforce.com"
    assert SECRET not in f"{found!r} {found!s}"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"URL": None}, "URL"),
        ({"URL": "http://org.my.salesforce.com"}, "URL"),
        ({"CLIENT_ID": None}, "CLIENT_ID"),
        ({"CLIENT_ID": ""}, "CLIENT_ID"),
        ({"CLIENT_SECRET": None}, "CLIENT_SECRET"),
        ({"CLIENT_SECRET": None, "USERNAME": "a@b.example"}, "CLIENT_SECRET"),
        ({"CLIENT_SECRET": None, "JWT_KEY": SECRET}, "CLIENT_SECRET"),
        ({"API_VERSION": "67"}, "API_VERSION"),
        ({"API_VERSION": "67.0/../"}, "API_VERSION"),
        ({"CLIENT_NAME": "a\r\nb"}, "CLIENT_NAME"),
        ({"CLIENT_NAME": "a, b"}, "CLIENT_NAME"),
        ({"CONNECT_TIMEOUT": "0"}, "CONNECT_TIMEOUT"),
    ],
    ids=repr,
)
def test_an_org_that_cannot_be_reached_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], named: str
) -> None:
    with pytest.raises(BadSettings, match=f"^CONNECTOR_SALESFORCE_{named}: ") as caught:
        of_salesforce(monkeypatch, **variables)
    assert SECRET not in str(caught.value)


def of_doors(monkeypatch: pytest.MonkeyPatch, **variables: str) -> salesforce.Hooks:
    for name, value in variables.items():
        monkeypatch.setenv(f"CONNECTOR_SALESFORCE_{name}", value)
    return settings.load(salesforce.Hooks)


@pytest.mark.parametrize("name", ["OUTBOUND_MESSAGE_TOKENS", "WEBHOOK_SECRETS", "WEBHOOK_KEYS"])
def test_several_secrets_open_a_door_and_short_ones_do_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    secrets = [f"whsec_{base64.b64encode(bytes([number]) * 24).decode()}" for number in range(3)]
    found = of_doors(monkeypatch, ORGANIZATION_ID=ORG, **{name: f"{secrets[0]}, {secrets[1]} {secrets[2]}"})
    assert [one.get_secret_value() for one in getattr(found, name.lower())] == secrets
    assert not any(secret in f"{found!r} {found!s}" for secret in secrets)
    with pytest.raises(BadSettings, match=f"CONNECTOR_SALESFORCE_{name}: expected at least 24 characters") as caught:
        of_doors(monkeypatch, **{name: f"{secrets[0]} short-secret"})
    assert "short-secret" not in str(caught.value)


def test_a_webhook_secret_that_is_not_base64_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSettings, match='WEBHOOK_SECRETS: expected "whsec_" and base64'):
        of_doors(monkeypatch, ORGANIZATION_ID=ORG, WEBHOOK_SECRETS="whsec_this is not base64 at all".replace(" ", "_"))


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ORGANIZATION_ID": ORG}, "OUTBOUND_MESSAGE_TOKENS"),
        ({"WEBHOOK_KEYS": SECRET}, "ORGANIZATION_ID"),
        ({"ORGANIZATION_ID": ORG, "WEBHOOK_KEYS": ""}, "OUTBOUND_MESSAGE_TOKENS"),
        *(
            ({"ORGANIZATION_ID": org, "WEBHOOK_KEYS": SECRET}, "ORGANIZATION_ID")
            for org in ("", "00D", "500" + ORG[3:], ORG[:16], ORG + "\n", ORG[:14] + "-")
        ),
    ],
    ids=repr,
)
def test_without_an_org_or_a_secret_no_door_opens(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    with pytest.raises(BadSettings, match=f"^CONNECTOR_SALESFORCE_{named}: "):
        of_doors(monkeypatch, **variables)


def test_messages_are_separated_by_semicolons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_CCAIP_OPTED_OUT_MESSAGES", "Opted out, sorry; Number is blocked ;")
    assert settings.load().ccaip_opted_out_messages == ["Opted out, sorry", "Number is blocked"]
