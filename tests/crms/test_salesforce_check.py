"""What `connector check` makes of the org's describe: values, types, lengths, rights, and what conditions ask."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from connector.cli import demo
from connector.crms import Misfit
from connector.crms.salesforce import check, values
from connector.crms.salesforce.describe import Things
from connector.expressions import Template
from connector.mapping import loader, outcome_facts
from connector.sandbox import Sandbox
from connector.sandbox.crms.salesforce import schema as org
from tests.support.command import connector

SHIPPED = (Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml").read_text()
STATUS = 'CCAIP_SMS_Status__c = "Sent"'
VALUES = ("Requested", "Sent", "Failed", "Skipped", "Unknown")
LISTED = f"it has {', '.join(VALUES)}"
# What makes a restricted picklist of a field that no rule asks about.
LIST = {
    "type": "picklist",
    "restrictedPicklist": True,
    "picklistValues": [{"value": value, "active": True} for value in VALUES],
}
CHAT = 'CCAIP_Chat_Id__c = "{{ chat.id }}"'


def described() -> dict[str, dict[str, Any]]:
    """What the sandbox's org says of each object, to be changed."""
    return {
        name: {
            "name": name,
            "updateable": True,
            "queryable": True,
            "fields": [copy.deepcopy(field.describe()) for field in thing.fields.values()],
        }
        for name, thing in org.OBJECTS.items()
    }


def misfits(old: str = "", new: str = "", change: dict[str, Any] | None = None, of: str = "") -> list[Misfit]:
    """For the shipped mapping with `old` replaced by `new`, in an org whose field `of` has these properties."""
    shipped = SHIPPED
    assert old in shipped
    if of == "CCAIP_Chat_Id__c":  # written by one outcome, so that there is one misfit
        shipped = shipped.replace('CCAIP_Chat_Id__c = ""\n', "")
    file = loader.parse(tomllib.loads(shipped.replace(old, new) if old else shipped), "salesforce.toml")
    objects = described()
    kind, _, name = of.rpartition(".")
    for field in objects[kind or "Case"]["fields"] if of else []:
        if field["name"] == name:
            field |= change or {}
    if change and not of:
        objects["Case"] |= change
    return list(check.misfits(file, Things(lambda name: objects[name])))


def test_the_shipped_mapping_fits() -> None:
    assert misfits() == []


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ('"Delivered"', '"Delivered" is not a value'),
        ('"sent"', 'did you mean "Sent"?'),
        ('"Snet"', "did you mean"),
        ('"{{ state }}"', '"sent" is not a value'),
        ('''"{{ 'Sent' if chat else 'Lost' }}"''', '"Lost" is not a value'),
        ('"{% if chat %}Sent{% else %}Gone{% endif %}"', '"Gone" is not a value'),
        ('"{% if chat %}Sent{% elif why %}Gone{% endif %}"', '"Gone" is not a value'),
        ('"Sen{{ state }}"', '"Sensent" is not a value'),
        ('"{{ rule }}"', '"requested" is not a value'),
    ],
)
def test_a_constant_that_a_restricted_picklist_does_not_hold_is_refused_with_the_values(value: str, meant: str) -> None:
    [misfit] = misfits(CHAT, f"CCAIP_Chat_Id__c = {value}", LIST, "CCAIP_Chat_Id__c")
    assert misfit.refused
    assert misfit.words.startswith("write_back.sent.CCAIP_Chat_Id__c: ")
    assert meant in misfit.words
    assert LISTED in misfit.words


@pytest.mark.parametrize(
    "value",
    [
        '"Sent"',
        '"{{ state | capitalize }}"',
        '''"{{ 'Sent' if chat else 'Unknown' }}"''',
        '"{% if chat %}Sent{% endif %}"',
        '''"{{ '' or 'Sent' }}"''',
    ],
)
def test_a_constant_that_a_restricted_picklist_holds_is_right(value: str) -> None:
    assert misfits(CHAT, f"CCAIP_Chat_Id__c = {value}", LIST, "CCAIP_Chat_Id__c") == []


def test_an_inactive_value_of_a_picklist_is_refused() -> None:
    changed = [
        {"value": "Sent", "active": False},
        *({"value": one, "active": True} for one in ("Requested", "Waiting", "Failed", "Skipped", "Unknown")),
    ]
    found = misfits(change={"picklistValues": changed}, of="CCAIP_SMS_Status__c")
    assert ['"Sent" is an inactive value' in one.words for one in found] == [True]
    assert found[0].refused


def test_a_value_that_an_unrestricted_picklist_does_not_hold_is_warned_of() -> None:
    [misfit] = misfits(STATUS, f'{STATUS}\nPriority = "Urgent"')
    assert ('"Urgent" is not a value of Priority; it has High, Medium, Low' in misfit.words, misfit.refused) == (
        True,
        False,
    )


def test_a_template_that_may_write_anything_into_a_restricted_picklist_is_warned_of() -> None:
    [misfit] = misfits(CHAT, 'CCAIP_Chat_Id__c = "{{ chat.status }}"', LIST, "CCAIP_Chat_Id__c")
    assert ("may write what the field's list does not hold" in misfit.words, misfit.refused) == (True, False)


def test_the_words_for_a_chats_status_are_looked_up_in_a_restricted_picklist() -> None:
    values = [{"value": value, "active": True} for value in ("With an agent", "Finished")]
    change = {"type": "picklist", "restrictedPicklist": True, "picklistValues": values}
    words = 'selecting = "Waiting for an agent"\nassigned = "With an agent"\n'

    found = misfits("# [chat_status]\n", f"[chat_status]\n{words}", change, "CCAIP_Chat_Status__c")

    refused = [one.words for one in found if one.refused]
    assert [one.partition(":")[0] for one in refused] == [
        f"write_back.{table}.CCAIP_Chat_Status__c" for table in ("sent", "chat")
    ]
    assert all('"Waiting for an agent" is not a value' in one for one in refused)


def test_each_value_of_a_multipicklist_is_looked_up() -> None:
    change = {"type": "multipicklist"}
    found = misfits(STATUS, 'CCAIP_SMS_Status__c = "Sent;Gone"', change, "CCAIP_SMS_Status__c")
    assert ['"Gone" is not a value' in one.words for one in found] == [True]


def test_every_fact_has_a_shortest_value() -> None:
    assert {*outcome_facts.FACTS, *outcome_facts.HELD_FACTS} - {"state"} == set(values.SHORTEST)


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("boolean", "true", True),
        ("boolean", "yes", False),
        ("boolean", "", False),
        ("boolean", "{{ why }}", False),
        ("double", "1.5", True),
        ("double", "many", False),
        ("double", "{{ chat.id }}", True),
        ("double", "{{ chat.status }}", False),
        ("int", "1.5", False),
        ("currency", "1,5", False),
        ("date", "2026-01-31", True),
        ("date", "31.1.2026", False),
        ("datetime", "{{ at }}", True),
        ("datetime", "{{ why }}", False),
        ("datetime", "today", False),
        ("time", "09:00:00Z", True),
        ("reference", "500000000000001AAA", True),
        ("reference", "500000000000001AAB", False),
        ("reference", "{{ chat.id }}", False),
        ("email", "nobody", False),
        ("email", "a@b.example", True),
        ("location", "x", False),
        ("base64", "{{ why }}", False),
        ("anyType", "x", False),
        ("string", "anything", True),
        ("double", "", True),
        ("textarea", "{{ why }}", True),
        ("boolean", "{{ phone.invalid }}", True),
        ("datetime", "{{ phone.invalid }}", False),
        ("datetime", "from {{ reason }}", False),
    ],
)
def test_text_for_a_number_a_checkbox_a_date_or_a_lookup_is_refused_where_it_is_none(
    kind: str, value: str, fits: bool
) -> None:
    found = misfits(CHAT, f'CCAIP_Chat_Id__c = "{value}"', {"type": kind}, "CCAIP_Chat_Id__c")
    assert [one.refused for one in found] == ([] if fits else [True])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"updateable": False}, "this user may not write it"),
        ({"calculated": True}, "it is a formula"),
        ({"autoNumber": True}, "the org numbers it by itself"),
        ({"type": "id"}, "takes no text"),
    ],
)
def test_a_field_that_nobody_or_not_this_user_can_write_is_refused(change: dict[str, Any], words: str) -> None:
    found = misfits(change=change, of="CCAIP_Chat_Id__c")
    assert [(words in one.words, one.refused) for one in found] == [(True, True)]


@pytest.mark.parametrize("value", ["", "{{ contradicted }}", "{% if false %}x{% endif %}"])
def test_emptying_a_field_that_the_org_requires_is_refused(value: str) -> None:
    found = misfits(CHAT, f'CCAIP_Chat_Id__c = "{value}"', {"nillable": False}, "CCAIP_Chat_Id__c")
    assert ["cannot be emptied" in one.words for one in found] == [True]


def test_a_constant_longer_than_its_field_is_warned_of_and_a_template_that_always_is_refused() -> None:
    [cut] = misfits(CHAT, f'CCAIP_Chat_Id__c = "{"x" * 21}"')
    assert ("is cut to the 20 characters" in cut.words, cut.refused) == (True, False)
    [never] = misfits(CHAT, f'CCAIP_Chat_Id__c = "{"x" * 20}{{{{ chat.id }}}}"')
    assert ("is always longer than the 20 characters" in never.words, never.refused) == (True, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"updateable": False}, "this user may not change a Case"),
        ({"queryable": False}, "this user may not read a Case"),
    ],
)
def test_an_object_that_the_user_may_not_read_or_change_is_refused(change: dict[str, Any], words: str) -> None:
    assert [one.words for one in misfits(change=change)] == [f"ticket.object: {words}"]


@pytest.mark.parametrize("kind", ["boolean", "reference", "double", "datetime"])
def test_a_phone_field_that_holds_no_phone_number_is_refused(kind: str) -> None:
    found = misfits(change={"type": kind}, of="Contact.MobilePhone")
    assert [one.words for one in found] == [
        f"phones.prefer: mobile is a field of type {kind}, which holds no phone number"
    ]


def test_an_encrypted_phone_field_is_warned_of() -> None:
    [misfit] = misfits(change={"type": "encryptedstring"}, of="Contact.MobilePhone")
    assert ("is encrypted" in misfit.words, misfit.refused) == (True, False)


@pytest.mark.parametrize(
    ("kind", "condition", "fits"),
    [
        ("boolean", "opted_out", True),
        ("picklist", "opted_out", False),
        ("string", "opted_out", False),
        ("string", "opted_out == 'Yes'", True),
        ("boolean", "opted_out == 'true'", False),
        ("boolean", "opted_out == `1`", False),
        ("boolean", "opted_out == `true`", True),
    ],
)
def test_an_opt_out_that_is_no_checkbox_or_is_compared_with_a_text_is_refused(
    kind: str, condition: str, fits: bool
) -> None:
    """A checkbox never equals 'true' in quotes: everybody who opted out would be texted."""
    found = misfits(
        'opt_out = "opted_out"',
        f'opt_out = "{condition}"',
        {"type": kind, "picklistValues": []},
        "Contact.CCAIP_SMS_Opt_Out__c",
    )
    assert [one.refused for one in found if one.words.startswith("policy.")] == ([] if fits else [True])


def test_a_condition_that_asks_for_a_value_that_a_picklist_does_not_hold_is_warned_of() -> None:
    [misfit] = misfits("status == 'Closed'", "status == 'Closd'")
    assert ('did you mean "Closed"?' in misfit.words, misfit.refused) == (True, False)


def test_an_object_or_field_that_the_user_cannot_see_is_refused() -> None:
    found = misfits('"Contact.FirstName"', '"Contact.Nick__c"')
    assert [one.words for one in found] == ["fields.first_name: Contact has no field Nick__c that this user can see"]
    assert "Contct" in misfits('"Contact.FirstName"', '"Contct.FirstName"')[0].words


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("Sent", {"Sent"}),
        ("", {""}),
        ("{{ state }}", {"sent"}),
        ("{{ why }}", None),
        ("{{ why or 'x' }}", None),
        ("{{ 'a' if why else 'b' }}", {"a", "b"}),
        ("{% for a in 'ab' %}x{% endfor %}", None),
        ("{{ state | upper }}!", {"SENT!"}),
        ("{{ state | replace('s', 'S') }}", None),
        ("{{ 'a' if why }}", None),
        ("{% if why %}a{% elif chat %}b{% endif %}", {"a", "b", ""}),
    ],
)
def test_what_a_template_may_write_is_told_where_it_can_be(source: str, known: set[str] | None) -> None:
    assert values.values_of(Template(source), {"state": frozenset({"sent"})}) == known


def test_connector_check_refuses_delivered_and_lists_the_values(tmp_path: Path) -> None:
    (tmp_path / "salesforce.toml").write_text(SHIPPED.replace(STATUS, 'CCAIP_SMS_Status__c = "Delivered"'))
    with Sandbox(port=0).running() as box:
        settings = demo.environment(box, "postgresql:///unused", 1, "t" * 30)
        done = connector("check", **settings, CONNECTOR_MAPPINGS=str(tmp_path))
    assert done.returncode == 1
    assert "WRONG  salesforce: write_back.sent.CCAIP_SMS_Status__c: " in done.stdout
    assert "it has Requested, Waiting, Sent, Failed, Skipped, Unknown" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "change", "words"),
    [
        ("", "", {"updateable": False}, "opt_outs.field: opted_out: this user may not write it"),
        ("", "", {"calculated": True}, "opt_outs.field: opted_out: it is a formula"),
        (
            'field = "opted_out"',
            'field = "first_name"',
            {},
            "first_name is a field of type string; expected a checkbox",
        ),
        (
            "Contact.CCAIP_Phone_Invalid__c",
            "Contact.FirstName",
            {},
            "invalid_numbers.field: phone_invalid is a field of type string; expected a checkbox",
        ),
        ("Contact.CCAIP_SMS_Opt_Out__c", "Owner.IsActive", {}, "may belong to several kinds of record"),
    ],
)
def test_an_opt_out_field_that_cannot_be_written_is_refused(
    old: str, new: str, change: dict[str, Any], words: str
) -> None:
    found = misfits(old, new, change or None, "Contact.CCAIP_SMS_Opt_Out__c" if change else "")
    assert [misfit for misfit in found if words in misfit.words and misfit.refused]
