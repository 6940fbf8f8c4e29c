"""What people do through the API is in the audit trail."""

import psycopg

from connector.store import audit
from connector.store.audit import Entry, Filter
from tests.support.pipe import Pipe, without_job

NUMBER = "+14155550177"


def entries(pipe: Pipe, about: str) -> list[Entry]:
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        return audit.find(connection, Filter(about=about), 10)


def test_a_cancelled_text_is_recorded_with_key_and_address(pipe: Pipe, case: str) -> None:
    text = without_job(pipe.url, case)

    for _ in range(2):
        assert pipe.api("DELETE", f"/texts/{text}").status_code == 200

    [entry] = entries(pipe, audit.text(text))
    assert entry.who.startswith("key:")
    assert (entry.what, entry.source, entry.origin) == ("text.cancel", "api", "127.0.0.1")


def test_a_suppressed_number_is_recorded_by_hash(pipe: Pipe) -> None:
    for suppressed in (True, True, False):
        pipe.api("POST", "/suppressions", json={"number": NUMBER, "suppressed": suppressed, "why": "asked"})

    with psycopg.connect(pipe.url, autocommit=True) as connection:
        about = audit.number(connection, NUMBER)
    assert [(entry.what, entry.why) for entry in entries(pipe, about)] == [
        ("number.lift", "asked"),
        ("number.suppress", "asked"),
    ]


def test_a_link_is_recorded_with_its_agent(pipe: Pipe, case: str) -> None:
    body = {"ticket_id": case, "agent_name": "Ada Agent"}

    assert pipe.api("POST", "/links", json=body).status_code == 201

    [entry] = entries(pipe, f"salesforce ticket {case}")
    assert (entry.what, entry.after) == ("link.create", {"agent": "Ada Agent"})


def test_each_kind_of_process_notes_its_settings_without_their_values(pipe: Pipe) -> None:
    rows = pipe.query("select process, name, fingerprint from setting_versions")

    assert {row["process"] for row in rows} == {"serve", "worker"}
    assert {"CONNECTOR_CCAIP_TOKEN", "CONNECTOR_PORT", "salesforce.toml"} <= {row["name"] for row in rows}
    assert {len(row["fingerprint"]) for row in rows} == {12}
    assert pipe.key not in str(rows)
