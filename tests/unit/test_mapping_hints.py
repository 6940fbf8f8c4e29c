"""What a mapping file may say, but hardly means, is warned of with its line."""

import re
import tomllib
from pathlib import Path

import pytest

from connector import merge_syntax
from connector.mapping import hints, loader
from connector.mapping.rules import Mapping
from connector.model import Skip, Ticket
from tests.cli.test_check import COMPLETE, SHIPPED, offline
from tests.unit.test_mapping_loader import GOOD

SECOND = """[[rules]]
name = "second"
when = "sms_status == 'Again'"
once_per = ["id"]
message = "Again."

"""
PLACEHOLDERS = [
    "{!Contact.FirstName}",
    "{!$User.FirstName}",
    "[[name]]",
    "[[First Name]]",
    "%%name%%",
    "%%First Name%%",
    "<<name>>",
    "<<Contact.FirstName>>",
    "${first_name}",
    "*|FNAME|*",
    "{first_name}",
    "{ first_name }",
    "{$Contact.FirstName}",
    "<%= first_name %>",
    "{Contact.FirstName}",
    "%FIRST_NAME%",
    "«FirstName»",
    "[First Name]",
    "<first_name>",
    "{ !Contact.FirstName}",
    "{case-number}",
    "first_name}}",
]
FOREIGN_AND_RENDERED = ["{{{Recipient.FirstName}}}", "{{Contact.FirstName}}", "{{ first_name }}", "{% if x %}"]


def advice(text: str) -> list[str]:
    return hints.of(loader.parse(tomllib.loads(text), "a.toml", text), text)


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_merge_syntax_of_other_programs_is_warned_of_with_its_line(placeholder: str) -> None:
    text = GOOD.replace('message = "Hi {{ first_name', f'message = "Hi {placeholder} {{{{ first_name')
    [said] = advice(text)
    assert said.startswith(f'line {line_of(text, "message")}: rule "requested", message: {placeholder} would be texted')


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[phones]",
            '[[templates]]\nname = "call"\nlabel = "Call"\nmessage = "Hi <<name>>"\n[phones]',
            'template "call", message: <<name>> would',
        ),
        ("[phones]", '[policy]\nbrand = "%%brand%%"\n[phones]', "policy.brand: %%brand%% would"),
        ("[phones]", '[policy]\nopt_out_line = "{!a.b} STOP"\n[phones]', "policy.opt_out_line: {!a.b} would"),
        ('"Sent"', '"{!Case.Status}"', "write_back.sent.CCAIP_SMS_Status__c: {!Case.Status} would"),
    ],
)
def test_every_text_of_a_mapping_is_looked_at(old: str, new: str, said: str) -> None:
    [found] = advice(GOOD.replace(old, new, 1))
    assert said in found


@pytest.mark.parametrize(
    "words", ["100% sure, 50% off", "a < b > c", "order [12]", "{{ country or 1 }}", "5 << 6", "{$5 off}"]
)
def test_ordinary_words_are_no_placeholders(words: str) -> None:
    assert advice(GOOD.replace("there is news", words)) == []


@pytest.mark.parametrize("placeholder", PLACEHOLDERS + FOREIGN_AND_RENDERED)
def test_a_placeholder_in_the_words_of_a_person_is_found(placeholder: str) -> None:
    assert merge_syntax.form(f"Hi {placeholder}, how are you?")


def test_a_guard_below_a_header_is_warned_of_where_a_pasted_rule_has_taken_it_over() -> None:
    assert advice(GOOD) == []
    text = GOOD.replace("[rules.skip_when]", f"{SECOND}[rules.skip_when]")
    [said] = advice(text)
    assert said.startswith(f'line {line_of(text, "[rules.skip_when]")}: rule "second", skip_when: [rules.skip_when] ')
    assert "without one: requested" in said


def test_a_guard_among_the_keys_of_its_rule_or_of_the_file_is_not_warned_of() -> None:
    table = '[rules.skip_when]\n"the case is closed" = "closed"'
    inline = GOOD.replace(table, 'skip_when = { "it is closed" = "closed" }')
    assert "skip_when = {" in inline
    assert advice(f"{inline}\n{SECOND}") == []
    assert advice(GOOD.replace("[rules.skip_when]", "[skip_when]") + SECOND) == []


@pytest.mark.parametrize("above", [True, False], ids=["above the first rule", "below it"])
def test_the_shipped_guard_is_for_every_rule_wherever_it_is_pasted(above: bool) -> None:
    shipped = SHIPPED.read_text(encoding="utf-8")
    text = shipped.replace("[[rules]]", f"{SECOND}[[rules]]", 1) if above else f"{shipped}\n{SECOND}"
    assert advice(text) == []
    mapping = Mapping(loader.parse(tomllib.loads(text), "a.toml", text), "+16285550199", ["US"])
    for status in ("Requested", "Again"):
        values = dict.fromkeys(mapping.file.fields) | {"id": "1", "sms_status": status, "status": "Closed"}
        assert mapping.decide(Ticket("salesforce", "1", values)) == Skip("the case is closed")


def test_check_warns_of_both_and_names_file_and_line(tmp_path: Path) -> None:
    shipped = SHIPPED.read_text(encoding="utf-8")
    text = shipped.replace('message = "Hi {{ first_name', 'message = "Hi {!Contact.FirstName} {{ first_name')
    text = text.replace("[agents]", '[rules.skip_when]\n"no" = "status"\n[agents]')
    text = text.replace("[[rules]]", f"{SECOND}[[rules]]")
    (tmp_path / "salesforce.toml").write_text(text)
    status, said = offline(**COMPLETE | {"CONNECTOR_MAPPINGS": str(tmp_path)})
    warnings = [line for line in said if line.startswith("warning")]
    assert status == 0
    assert [line.split(": ")[0] for line in warnings] == [
        f"warning  {tmp_path}/salesforce.toml, line {line_of(text, start)}"
        for start in ("[rules.skip_when]", 'message = "Hi {!')
    ]


def warnings(text: str) -> list[str]:
    return hints.of(loader.parse(tomllib.loads(text), "salesforce.toml", text), text)


@pytest.mark.parametrize(
    ("when", "why"),
    [("sms_status  == 'Requested'", "has the same `when`"), ("sms_status == 'Again'", "always true")],
)
def test_a_rule_that_no_trigger_reaches_is_warned_of(when: str, why: str) -> None:
    text = GOOD.replace("[[rules]]", SECOND.replace("sms_status == 'Again'", when) + "[[rules]]", 1)
    if "always" in why:
        text = text.replace(when, "`true`")
    [found] = [one for one in warnings(text) if "no trigger ever reaches" in one]
    assert why in found
    assert 'rule "requested", when' in found


@pytest.mark.parametrize("state", ["sent", "failed", "skipped", "unknown", "cancelled"])
def test_an_outcome_that_leaves_what_the_others_write_is_warned_of(state: str) -> None:
    shipped = SHIPPED.read_text(encoding="utf-8")
    start = shipped.index(f"[write_back.{state}]")
    text = shipped[:start] + re.sub(r"CCAIP_SMS_Status__c = .*", "", shipped[start:], count=1)
    [found] = advice(text)
    assert found.startswith(
        f"line {line_of(text, f'[write_back.{state}]')}: write_back.{state}: CCAIP_SMS_Status__c is"
    )
    assert advice(shipped) == []


def test_rules_with_other_conditions_are_not_warned_of() -> None:
    text = GOOD.replace("[[rules]]", SECOND + "[[rules]]", 1)
    assert not [one for one in warnings(text) if "no trigger ever reaches" in one]


def test_seven_days_off_are_warned_of() -> None:
    days = '["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]'
    for text in (days, days.replace('"monday", ', "")):
        found = warnings(GOOD + f"\n[policy.hours]\ndays_off = {text}\n")
        assert bool([one for one in found if "no weekday is left" in one]) is (text == days)
