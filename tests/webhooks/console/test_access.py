"""Who may open the console, and what each role may do there."""

import re
import secrets
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool
from werkzeug.routing import Rule

from connector.store import api_keys, audit, console_sessions
from connector.store.api_keys import Right
from connector.store.audit import Filter
from connector.store.console_sessions import Method
from tests.webhooks.console.conftest import Operators
from webhooks.console import roles
from webhooks.console.roles import Role

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
HOLDERS = [frozenset({role}) for role in Role]


def routes(console: Operators) -> list[tuple[Rule, str]]:
    """All routes of the console with their methods, signing in apart."""
    return [
        (rule, method)
        for rule in console.app.url_map.iter_rules()
        if rule.endpoint.startswith("console.") and rule.endpoint != "console.static"
        for method in sorted((rule.methods or set()) & {"GET", "POST"})
        if roles.required(console.app, rule.endpoint)
    ]


def path(rule: Rule) -> str:
    return re.sub(r"<(?:[^:>]+:)?[^>]+>", "1", rule.rule)


def test_every_route_refuses_whoever_lacks_its_role_even_by_hand(console: Operators) -> None:
    refused = 0
    for held in HOLDERS:
        browser = console.client(*held)
        token = browser.token() if Role.VIEW in held else secrets.token_hex(8)
        for rule, method in routes(console):
            if roles.required(console.app, rule.endpoint) in held:
                continue
            data = {"token": token, "back": "/console/"} if method == "POST" else None
            answer = browser.client.open(path(rule), method=method, data=data, headers=SAME_SITE)
            assert answer.status_code == 403, (rule.rule, method, held)
            assert "You may not" in answer.text
            assert "Nothing was done" in answer.text
            refused += 1
    assert refused >= len(HOLDERS)


def test_every_route_sends_a_stranger_to_sign_in(console: Operators) -> None:
    stranger = console.app.test_client()
    for rule, method in routes(console):
        answer = stranger.open(path(rule), method=method, headers=SAME_SITE)
        if method == "GET":
            assert answer.status_code == 303, rule.rule
            assert answer.location.startswith("/console/sign-in?to=/console/")
        else:
            assert answer.status_code == 401, rule.rule


def test_every_form_needs_the_token_of_its_session_and_an_origin_of_ours(console: Operators) -> None:
    browser, other = console.client(*Role), console.client(*Role)
    foreign = other.token()
    for rule, method in routes(console):
        if method == "POST":
            for token in ("", "x", foreign):
                answer = browser.client.post(path(rule), data={"token": token}, headers=SAME_SITE)
                assert answer.status_code == 403, rule.rule
            strange = {"Sec-Fetch-Site": "cross-site", "Origin": "https://example.com"}
            answer = browser.client.post(path(rule), data={"token": browser.token()}, headers=strange)
            assert answer.status_code == 403, rule.rule


def test_a_view_without_a_role_is_refused_at_start(console: Operators) -> None:
    console.app.view_functions["console.forgotten"] = lambda: ""

    with pytest.raises(TypeError, match=r"console\.forgotten"):
        roles.check(console.app, "console")


def test_a_key_without_a_role_does_not_sign_in(console: Operators, connection: psycopg.Connection) -> None:
    key = api_keys.add(connection, "api", [Right.SEND, Right.READ], 100)

    answer = console.app.test_client().post("/console/sign-in", data={"key": key}, headers=SAME_SITE)

    assert answer.status_code == 403
    assert "no right to the console" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_an_unknown_key_does_not_sign_in_and_attempts_are_counted(console: Operators) -> None:
    stranger = console.app.test_client()
    answers = [
        stranger.post("/console/sign-in", data={"key": f"ccaisms_{n}"}, headers=SAME_SITE).status_code
        for n in range(12)
    ]

    assert answers[0] == 403
    assert answers[-1] == 429


def test_the_cookie_is_for_the_console_only_and_not_for_scripts(console: Operators) -> None:
    key = secrets.token_hex(4)
    with console.pool.connection() as connection:
        secret = api_keys.add(connection, key, [Right.VIEW], 100)
    answer = console.app.test_client().post(
        "/console/sign-in", data={"key": secret}, headers=SAME_SITE, base_url="https://console.example.com"
    )

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-console=")
    for part in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/console"):
        assert part in cookie


@pytest.mark.parametrize("to", ["https://example.com", "//example.com", "/agents", "/console\\x", "/console//x", "x"])
def test_nobody_is_led_elsewhere_after_signing_in(console: Operators, connection: psycopg.Connection, to: str) -> None:
    key = api_keys.add(connection, "ada", [Right.VIEW], 100)

    answer = console.app.test_client().post("/console/sign-in", data={"key": key, "to": to}, headers=SAME_SITE)

    assert answer.location == "/console/"


def test_after_signing_in_the_page_that_was_asked_for_opens(console: Operators, connection: psycopg.Connection) -> None:
    key = api_keys.add(connection, "ada", [Right.VIEW], 100)
    stranger = console.app.test_client()
    asked = stranger.get("/console/texts?q=state:failed")
    assert asked.status_code == 303
    form = stranger.get(asked.location).text
    to = re.search(r'name="to" value="([^"]+)"', form)
    assert to

    answer = stranger.post("/console/sign-in", data={"key": key, "to": to[1]}, headers=SAME_SITE)

    assert answer.location == "/console/texts?q=state:failed"


def test_a_revoked_key_ends_its_sessions_at_once(console: Operators, connection: psycopg.Connection) -> None:
    browser = console.client(Role.VIEW)
    assert browser.get("/texts").status_code == 200

    api_keys.revoke(connection, browser.name)

    assert browser.get("/texts").status_code == 303
    api_keys.add(connection, browser.name, [Right.VIEW], 100)
    assert browser.get("/texts").status_code == 303, "another key with the same name is another key"


def test_signing_out_ends_the_session(console: Operators, connection: psycopg.Connection) -> None:
    browser = console.client(Role.VIEW)
    cookie = browser.client.get_cookie("console", path="/console")
    assert cookie

    assert browser.post("/sign-out").status_code == 303

    browser.client.set_cookie("console", cookie.value, path="/console")
    assert browser.get("/texts").status_code == 303
    whats = [entry.what for entry in audit.find(connection, Filter(who=f"key:{browser.name}"), 9)]
    assert whats == ["session.end", "session.begin"]


@pytest.mark.parametrize("column", ["ends_at", "seen_at"])
def test_a_session_ends_by_its_age_and_by_idleness(
    console: Operators, connection: psycopg.Connection, column: str
) -> None:
    browser = console.client(Role.VIEW)
    query = "update console_sessions set {0} = {0} - interval '8 hours 1 minute'"
    connection.execute(sql.SQL(query).format(sql.Identifier(column)))

    assert browser.get("/texts").status_code == 303


def test_refreshing_does_not_prolong_a_session_nor_take_its_notice(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        token = console_sessions.begin(connection, "ada", Method.OPENID, ["view"], "127.0.0.1")
        [session] = console_sessions.listed(connection)
        console_sessions.notify(connection, session.id, console_sessions.Notice("Done."))
        connection.execute("update console_sessions set seen_at = seen_at - interval '10 minutes'")

        refreshed = console_sessions.find(connection, token, used=False)
        used = console_sessions.find(connection, token)
        again = console_sessions.find(connection, token)

    assert refreshed
    assert used
    assert again
    assert (refreshed[1], used[1], again[1]) == (None, console_sessions.Notice("Done."), None)
    assert again[0].seen_at - used[0].seen_at > timedelta(minutes=9)


def test_the_token_is_stored_as_a_hash_only(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        token = console_sessions.begin(connection, "ada", Method.OPENID, ["view"], "127.0.0.1")
        [row] = connection.execute("select console_sessions::text from console_sessions").fetchall()

    assert token not in row[0]


def test_pages_are_protected_from_other_sites(console: Operators) -> None:
    headers = console.client(Role.VIEW).get("/texts").headers

    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
