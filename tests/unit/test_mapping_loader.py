"""Each kind of wrong mapping file is refused when it is loaded, with file, key and what was expected there."""

import tomllib
from pathlib import Path

import pytest

from connector.errors import BadMapping
from connector.mapping import loader

SHIPPED = Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml"
GOOD = """
[ticket]
object = "Case"     # é
id = "id"           #

[fields]
id = "Id"
case_number = "CaseNumber"
sms_status = "CCAIP_SMS_Status__c"
closed = "IsClosed"
requested_at = "CCAIP_SMS_Requested_At__c"
first_name = "Contact.FirstName"
mobile = "Contact.MobilePhone"
country = "Contact.MailingCountryCode"

[phones]
prefer = ["mobile"]
country = "US"      #
country_from = "country"

[[rules]]
name = "requested"
when = "sms_status == 'Requested'"
once_per = ["id", "requested_at"]
message = "Hi {{ first_name or 'there' }}, there is news on {{ case_number }}."

[rules.skip_when]
"the case is closed" = "closed"
""" + "".join(
    f"""
[write_back.{outcome}]
CCAIP_SMS_Status__c = "{outcome.title()}"
CCAIP_Chat_Id__c = "{"{{ chat.id }}" if outcome == "sent" else "{{ chat.id if chat }}"}"
"""
    for outcome in ("sent", "failed", "skipped", "unknown", "cancelled")
)
SENT_CHAT = "write_back.sent.CCAIP_Chat_Id__c"
SKIPPED = "write_back.skipped.CCAIP_SMS_Status__c"
FAILED = "write_back.failed.CCAIP_SMS_Status__c"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (
            "{{ chat.id }}",
            '"chat" is not defined here, because a text that waits has no chat; expected one of',
        ),
        ("{{ why }}", '"why" is not defined; expected one of at, held, rule, text'),
        ("{{ held.untill }}", '"held.untill" is not defined (do you mean held.until?); expected one of'),
        ("{{ rule }}", "expected a text, but a text that waits may have no rule: "),
        ("{{ 1 / 0 }}", "expected a text: "),
    ],
)
def test_what_a_ticket_shows_while_its_text_waits_has_facts_of_its_own(
    tmp_path: Path, template: str, words: str
) -> None:
    path = tmp_path / "salesforce.toml"
    path.write_text(GOOD + f"[write_back.held]\nNote__c = '{template}'\n", encoding="utf-8")
    with pytest.raises(BadMapping) as bad:
        loader.load(path)
    assert f"write_back.held.Note__c: {words}" in str(bad.value)


def test_a_byte_order_mark_is_no_part_of_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "salesforce.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert loader.load(path).rules


@pytest.mark.parametrize("text", [SHIPPED.read_text(encoding="utf-8"), GOOD], ids=["shipped", "of these tests"])
def test_a_good_mapping_loads(tmp_path: Path, text: str) -> None:
    path = tmp_path / "salesforce.toml"
    path.write_text(text, encoding="utf-8")
    file = loader.load(path)
    assert [rule.name for rule in file.rules] == ["requested"]
    assert "mobile" in file.phones.prefer


def edited(old: str, new: str) -> str:
    assert old in GOOD, f"there is no {old!r} to edit"
    return GOOD.replace(old, new, 1)


WHEN = "when = \"sms_status == 'Requested'\""
MESSAGE = 'message = "Hi {{ first_name'
R = 'rule "requested", '


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        pytest.param("[ticket]", "wrong = 1\n[ticket]", "wrong", "not known", id="at the top"),
        pytest.param("[ticket]", "[ticket]\nwrong = 1", "ticket.wrong", "not known", id="of the ticket"),
        pytest.param("[phones]", "[phones]\nwrong = 1", "phones.wrong", "not known", id="of the phones"),
        pytest.param('name = "requested"', 'name = "requested"\nwrong = 1', R + "wrong", "known", id="of a rule"),
        pytest.param(
            "[write_back.sent]",
            "[write_back.lost]\nA = ''\n[write_back.sent]",
            "write_back.lost",
            "not known",
            id="unknown outcome",
        ),
        pytest.param('object = "Case"', "object = 1", "ticket.object", "expected text", id="number for text"),
        pytest.param('object = "Case" ', "", "ticket.object", "required", id="missing key"),
        pytest.param('country = "US" ', "country = 1 ", "phones.country", "expected text", id="number for a country"),
        pytest.param('country = "US" ', 'country = "us" ', "phones.country", "country code", id="small country"),
        pytest.param('country = "US" ', 'country = "UK" ', "phones.country", "country code", id="no such country"),
        pytest.param('prefer = ["mobile"', 'prefer = [1, "mobile"', "phones.prefer.0", "expected text", id="in a list"),
        pytest.param('prefer = ["mobile"]', "prefer = []", "phones.prefer", "at least 1", id="no phone"),
        pytest.param('once_per = ["id", "requested_at"]', "once_per = []", R + "once_per", "at least 1", id="none"),
        pytest.param('once_per = ["id"', 'once_per = ["nope"', R + "once_per", '"nope" is not', id="unknown"),
        pytest.param('country_from = "country"', 'country_from = "nope"', "phones.country_from", "nope", id="from"),
        pytest.param('prefer = ["mobile"', 'prefer = ["nope", "mobile"', "phones.prefer", "nope", id="phone"),
        pytest.param('id = "id" ', 'id = "nope" ', "ticket.id", "nope", id="undefined ticket id"),
        pytest.param(WHEN, "when = \"nope == 'x'\"", R + "when", '"nope" is not defined', id="undefined in when"),
        pytest.param('= "closed"', '= "nope"', R + "skip_when.the case is closed", "nope", id="skip"),
        pytest.param(MESSAGE, 'message = "Hi {{ nope', R + "message", "nope", id="undefined in text"),
        pytest.param(
            '"{{ chat.id }}"',
            '"{{ first_name }}"',
            "write_back.sent.CCAIP_Chat_Id__c",
            "expected one of at, chat",
            id="undefined in a write-back",
        ),
        pytest.param('"{{ chat.id }}"', '"{{ chat.idd }}"', SENT_CHAT, "do you mean chat.id", id="misspelt attribute"),
        pytest.param('"{{ chat.id }}"', "\"{{ chat['idd'] }}\"", SENT_CHAT, "do you mean chat.id", id="misspelt key"),
        pytest.param('"{{ chat.id }}"', '"{{ chta.id }}"', SENT_CHAT, "do you mean chat", id="misspelt fact"),
        pytest.param('"{{ chat.id }}"', '"{{ why.foo }}"', SENT_CHAT, "why alone", id="attribute of a text"),
        pytest.param('"Failed"', '"{{ chat.id }}"', FAILED, "may have no chat", id="chat of a failed text"),
        pytest.param('"Skipped"', '"{{ rule }}"', SKIPPED, "have no rule", id="rule of a skip"),
        pytest.param("{{ case_number }}", "{{ case_number.foo }}", R + "message", "has no parts", id="part of a field"),
        pytest.param("{{ case_number }}", "{{ case_numbr }}", R + "message", "mean case_number", id="misspelt field"),
        pytest.param(WHEN, "when = 1", R + "when", "expected text", id="number for a condition"),
        pytest.param(WHEN, 'when = " "', R + "when", "expected text", id="blank condition"),
        pytest.param(WHEN, 'when = "sms_status =="', R + "when", "can be read", id="half"),
        pytest.param(WHEN, 'when = "sms_status.x"', R + "when", "not for conditions", id="foreign"),
        pytest.param(WHEN, 'when = "sms_status[0:1]"', R + "when", "not for conditions", id="slice in a condition"),
        pytest.param(MESSAGE, 'message = "{{ }} {{ first_name', R + "message", "can be read", id="bad template"),
        pytest.param("[write_back.sent]", "[write_back.sent]\nA = 1", "write_back.sent.A", "expected text", id="one"),
        pytest.param("[write_back.sent]", "[write_back.sent]\n'a b' = ''", "write_back.sent.a b", "own name", id="bad"),
        pytest.param('"CaseNumber"', '"Case Number"', "fields.case_number", "own name", id="bad path: space"),
        pytest.param('"CaseNumber"', '"a..b"', "fields.case_number", "own name", id="bad path: dots"),
        pytest.param('"CaseNumber"', '"Id FROM User--"', "fields.case_number", "own name", id="bad path: SOQL"),
        pytest.param('"CaseNumber"', '"CaseNumber\\n"', "fields.case_number", "own name", id="bad path: line end"),
        pytest.param("case_number = ", "Case-Number = ", "fields.Case-Number", "small letters", id="bad name"),
        pytest.param('object = "Case"', 'object = "Case WHERE"', "ticket.object", "own name", id="bad object"),
        pytest.param("[fields]", '[fields]\nspare = "Spare__c"', "fields.spare", "never used", id="unused field"),
        pytest.param("[ticket]", 'outbound_number = "415"\n[ticket]', "outbound_number", "E.164", id="bad number"),
        pytest.param(
            'name = "requested"',
            'name = "requested"\noutbound_number = "+1 628-555-0199"',
            R + "outbound_number",
            "E.164",
            id="bad number of a rule",
        ),
        pytest.param(
            "[ticket]",
            'outbound_number = "+16285550199\\n"\n[ticket]',
            "outbound_number",
            "E.164",
            id="number and line end",
        ),
        pytest.param('name = "requested"', 'name = "Has Space"', 'rule "Has Space", name', "small", id="bad rule"),
        pytest.param('"Sent"', '"{{ 1 / 0 }}"', "write_back.sent.CCAIP_SMS_Status__c", "zero", id="never renders"),
    ],
)
def test_a_wrong_file_is_refused_with_file_key_and_expectation(
    tmp_path: Path, old: str, new: str, key: str, expected: str
) -> None:
    path = tmp_path / "salesforce.toml"
    path.write_text(edited(old, new), encoding="utf-8")
    with pytest.raises(BadMapping, match=expected) as caught:
        loader.load(path)
    assert str(path) in str(caught.value)
    assert key in [fault.key for fault in caught.value.faults]


@pytest.mark.parametrize("outcome", ["sent", "failed", "skipped", "unknown", "cancelled"])
@pytest.mark.parametrize(("left", "words"), [(None, "required"), ({}, "at least 1")], ids=["missing", "empty"])
def test_every_outcome_has_to_be_told(outcome: str, left: dict[str, str] | None, words: str) -> None:
    raw = tomllib.loads(GOOD)
    raw["write_back"] = {key: value for key, value in raw["write_back"].items() if key != outcome}
    if left is not None:
        raw["write_back"][outcome] = left
    with pytest.raises(BadMapping, match=rf"write_back\.{outcome}: .*{words}"):
        loader.parse(raw, "a.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[ticket]", "[ticket]\nwrong = 1", "line 3: ticket.wrong: this key is not known"),
        ('prefer = ["mobile"', 'prefer = [\n  1,\n  "mobile"', "line 17: phones.prefer.0: expected text"),
        (WHEN, 'when = """\nnope\n"""', 'line 23: rule "requested", when: "nope" is not defined'),
        ("once_per = [", "# a comment\nonce_per = 1 #", 'line 25: rule "requested", once_per: expected a list'),
        ('once_per = ["id", "requested_at"]', "", 'line 21: rule "requested", once_per: required, but missing'),
        ("[rules.skip_when]", "[rules.skip_if]", 'line 27: rule "requested", skip_if: this key is not known'),
        ('= "closed"', "= 1", 'line 28: rule "requested", skip_when.the case is closed: expected text'),
        ("[rules.skip_when]", "[[rules]]\n[rules.skip_when]", "line 27: rule 2, name: required, but missing"),
        (
            "[phones]",
            '[phones]\noutbound_number = "+16285550199"',
            "line 17: phones.outbound_number: this key is not known; outbound_number belongs above the first [table]",
        ),
        (
            '"CaseNumber"',
            '"{!Case.CaseNumber}"',
            'line 8: fields.case_number: expected the CRM\'s own name of a field, such as "CaseNumber"',
        ),
        (MESSAGE, 'message = "Hi {{{Recipient.FirstName}}} {{ first_name', "{{{Recipient.FirstName}}} is written"),
    ],
)
def test_a_fault_names_its_line_and_the_rule_by_its_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "salesforce.toml"
    path.write_text(edited(old, new), encoding="utf-8")
    with pytest.raises(BadMapping) as caught:
        loader.load(path)
    assert said in str(caught.value)
    assert "rules.0" not in str(caught.value)


def test_two_rules_of_one_name_are_refused() -> None:
    raw = tomllib.loads(GOOD)
    raw["rules"].append(raw["rules"][0])
    with pytest.raises(BadMapping, match=r'a\.toml: rule "requested", name: .*"requested" is taken'):
        loader.parse(raw, "a.toml")


def test_every_problem_is_named_at_once() -> None:
    raw = tomllib.loads(GOOD)
    raw["fields"]["spare"] = "Spare__c"
    raw["rules"][0]["once_per"] = ["nope", "requested_at"]
    with pytest.raises(BadMapping) as caught:
        loader.parse(raw, "a.toml")
    assert [fault.key for fault in caught.value.faults] == [R + "once_per", "fields.spare"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"[ticket", "expected TOML", id="not TOML"),
        pytest.param(b"a = 1\na = 2", "expected TOML", id="a key twice"),
        pytest.param(GOOD.encode("utf-16"), "expected TOML", id="UTF-16"),
        pytest.param(b"# a\n# \xe9", "line 2: the file: expected TOML 1.0 in UTF-8: save it", id="Latin-1"),
        pytest.param(GOOD.encode() + b"# \xe9", "expected TOML", id="Latin-1"),
        pytest.param(b"", "required", id="empty"),
        pytest.param(b"fields = 1", "fields", id="a number for a table"),
    ],
)
def test_a_file_that_is_no_toml_in_utf8_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "salesforce.toml"
    path.write_bytes(content)
    with pytest.raises(BadMapping, match=words) as caught:
        loader.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("there", [True, False], ids=["a folder", "missing"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "salesforce.toml"
    if there:
        path.mkdir()
    with pytest.raises(BadMapping, match="the file: cannot be read"):
        loader.load(path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"agents": {"rule": "nope"}}, r"agents\.rule: expected one of the rules: requested"),
        ({"agents": {"reply": True}}, r"agents\.reply: this key is not known"),
        ({"templates": [{"name": "a", "label": "A", "message": "x"}] * 2}, r'template "a", name: .*"a" is taken'),
        ({"templates": [{"name": "a", "label": "A", "message": "{{ no }}"}]}, r'template "a", message: "no" is not'),
        ({"templates": [{"name": "a", "label": "", "message": "x"}]}, r'template "a", label: '),
        ({"policy": {"opt_out": "nope"}}, r'policy\.opt_out: "nope" is not defined'),
        ({"policy": {"zone": "nope"}}, r'policy\.zone: "nope" is not defined'),
        ({"policy": {"opt_out": "'closed'"}}, r"policy\.opt_out: is the same for every customer: expected"),
        ({"policy": {"opt_out": "`false`"}}, r"policy\.opt_out: is the same for every customer: expected"),
        ({"policy": {"opt_out": "a["}}, r"policy\.opt_out: not a condition"),
        ({"policy": {"window_hours": -1}}, r"policy\.window_hours: "),
        ({"policy": {"max_segments": 0}}, r"policy\.max_segments: "),
        ({"policy": {"agents_may_override": ["opt_out"]}}, r"policy\.agents_may_override\.0: "),
        ({"policy": {"hours": {"open": "20:00-08:00"}}}, r"policy\.hours\.open: expected hours that end after"),
        ({"policy": {"hours": {"by_state": {"TX": {}}}}}, r"policy\.hours\.by_state: is never used"),
        ({"opt_outs": {"field": "nope"}}, r'opt_outs\.field: "nope" is not defined'),
        ({"opt_outs": {"field": "sms_status"}}, r'rule "requested", when: expected a condition without sms_status'),
        ({"invalid_numbers": {"field": "nope"}}, r'invalid_numbers\.field: "nope" is not defined'),
        (
            {"invalid_numbers": {"field": "sms_status"}},
            r'rule "requested", when: expected a condition without sms_status: invalid_numbers\.field is written',
        ),
        (
            {"opt_outs": {"field": "mobile"}, "invalid_numbers": {"field": "mobile"}},
            r"invalid_numbers\.field: expected another field than that of opt_outs\.field",
        ),
        ({"opt_outs": {"words": ["!!"]}}, r"opt_outs\.words\.0: expected a word such as"),
        ({"opt_outs": {"words": ["Yes!"]}}, r'opt_outs\.words\.0: expected a word with one meaning: "Yes!"'),
        ({"opt_outs": {"words": ["A"], "start_words": ["a"]}}, r"opt_outs\.words\.0: expected a word with one meaning"),
        ({"opt_outs": {"start_words": ["STOP"]}}, r"opt_outs\.start_words\.0: expected a word with one meaning"),
    ],
)
def test_what_is_wrong_with_policy_agents_and_templates_is_named(more: dict[str, object], words: str) -> None:
    with pytest.raises(BadMapping, match=words):
        loader.parse(tomllib.loads(GOOD) | more, "a.toml")


@pytest.mark.parametrize(
    "template", ["{{ case_number.strip() }}", "{{ case_number[-4:] }}", "{{ case_number | default(1) }}"]
)
def test_methods_and_filters_of_a_field_are_allowed(template: str) -> None:
    loader.parse(tomllib.loads(GOOD.replace("{{ case_number }}", template)), "salesforce.toml")


@pytest.mark.parametrize(
    ("chat", "more", "words"),
    [
        ({"Seen__c": "{{ chat.state }}"}, {}, r"write_back\.chat\.Seen__c: .*chat\.state"),
        ({"Seen__c": "{{ chat.status }}", "seen__c": "x"}, {}, r"write_back\.chat\.seen__c: expected each field once"),
        ({}, {}, r"write_back\.chat: "),
        (None, {"chat_status": {"selecting": "Waiting"}}, r"chat_status: is never used"),
        (None, {"chat_status": {"selecting": ""}}, r"chat_status\.selecting: "),
        (None, {"chat_status": {"selecting": 1}}, r"chat_status\.selecting: "),
    ],
)
def test_what_is_wrong_with_the_fields_that_follow_a_chat_is_named(
    chat: dict[str, str] | None, more: dict[str, object], words: str
) -> None:
    raw = tomllib.loads(GOOD) | more
    raw["write_back"] = {state: {"Seen__c": state} for state in ("sent", "failed", "skipped", "unknown", "cancelled")}
    if chat is not None:
        raw["write_back"]["chat"] = chat
    with pytest.raises(BadMapping, match=words):
        loader.parse(raw, "a.toml")


def test_a_pasted_file_may_have_any_line_ends() -> None:
    """A browser sends CR LF."""
    text = SHIPPED.read_text()
    for content in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\ufeff" + text):
        assert loader.loads(content.encode(), "draft.toml").rules[0].name == "requested"
    with pytest.raises(BadMapping, match=r"draft.toml: the file: expected TOML 1.0 in UTF-8: .*at line 2"):
        loader.loads(b"a = 1\r\nb =\r\n", "draft.toml")
