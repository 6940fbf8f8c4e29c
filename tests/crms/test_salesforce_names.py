"""Names of fields in any case, what an answer lacks, ids, and lengths: as Salesforce compares and counts them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.crms import Query
from connector.crms.salesforce import adapter, ids, queries
from connector.crms.salesforce.adapter import Salesforce
from connector.crms.salesforce.session import Session
from connector.crms.salesforce.settings import Settings
from connector.delivery import isolation
from connector.errors import BadMapping, CallFailed, Refused, Unavailable
from connector.mapping import loader
from connector.mapping.rules import Mapping
from connector.model import Skip, Ticket
from connector.sandbox import Sandbox
from tests.support.pipe import Pipe

SHIPPED = (Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml").read_text()
OPTED_OUT = 'opted_out = "Contact.CCAIP_SMS_Opt_Out__c"'
SPELLINGS = [
    ("Contact.CCAIP_SMS_Opt_Out__c", "Contact.ccaip_sms_opt_out__c"),
    ("Contact.CCAIP_SMS_Opt_Out__c", "CONTACT.CCAIP_SMS_OPT_OUT__C"),
    ("Contact.MobilePhone", "contact.mobilephone"),
    ('object = "Case"', 'object = "case"'),
    ('"CaseNumber"', '"Case.casenumber"'),
    ('id = "Id"', 'id = "ID"'),
]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture(autouse=True)
def _no_faults(box: Sandbox) -> Iterator[None]:
    yield
    box.faults.clear()


def connected(box: Sandbox, tmp_path: Path, *changes: tuple[str, str]) -> Salesforce:
    """The org, by the shipped mapping with these changes."""
    text = SHIPPED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "salesforce.toml").write_text(text)
    file = loader.load(tmp_path / "salesforce.toml")
    settings = Settings(
        _env_prefix="NOBODY_SETS_THIS_",
        _env_file=None,
        url=box.url,
        client_id=box.salesforce.settings.client_id,
        client_secret=SecretStr(box.salesforce.settings.client_secret),
    )
    return Salesforce(Session(settings), file)


@pytest.fixture
def crm(box: Sandbox, tmp_path: Path) -> Iterator[Salesforce]:
    crm = connected(box, tmp_path)
    yield crm
    crm.close()


def malformed(box: Sandbox, route: str, body: Any, times: int = 50) -> None:
    """200, and this instead of what was asked for."""
    box.faults.add("malformed", side="salesforce", route=route, body=body, times=times)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda pair: pair[1])
def test_a_name_in_another_case_reads_the_same_ticket(
    box: Sandbox, tmp_path: Path, crm: Salesforce, spelling: tuple[str, str]
) -> None:
    """An opt-out field in another case of letters is obeyed, a phone field is found."""
    [ticket] = box.salesforce.make_cases(1, contact={"CCAIP_SMS_Opt_Out__c": True})
    other = connected(box, tmp_path, spelling)
    assert other.check() == []
    found = other.read([ticket])[ticket]
    assert found == crm.read([ticket])[ticket]
    assert found.values["opted_out"] is True
    assert found.values["mobile"]
    other.close()


def test_names_in_another_case_read_the_same_above_2000_cases(
    box: Sandbox, tmp_path: Path, crm: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MAX_BY_QUERY", 3)
    tickets = box.salesforce.make_cases(5, contact={"CCAIP_SMS_Opt_Out__c": True})
    query = Query(where="Id IN (" + ",".join(f"'{ticket}'" for ticket in tickets) + ")")
    for spelling in SPELLINGS:
        other = connected(box, tmp_path, spelling)
        found = {ticket.id: ticket for page in other.find(query) for ticket in page}
        assert found == crm.read(tickets)
        other.close()


def test_a_time_is_the_same_above_2000_cases(box: Sandbox, crm: Salesforce, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job writes it differently. A plan would not see that a case was texted for the same reason."""
    monkeypatch.setattr(queries, "MAX_BY_QUERY", 0)
    [ticket] = box.salesforce.make_cases(1)
    box.salesforce.edit(ticket, {"CCAIP_SMS_Requested_At__c": "2026-11-24T09:00:00Z"})
    [[found]] = crm.find(Query(where=f"Id = '{ticket}'"))
    assert found == crm.read([ticket])[ticket]
    assert found.values["requested_at"] == "2026-11-24T09:00:00.000+0000"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "3", 3),
        ("int", "3.0", 3),
        ("long", "3", 3),
        ("double", "3.0", 3.0),
        ("percent", "3", 3.0),
        ("datetime", "", None),
    ],
)
def test_a_number_of_a_job_has_the_type_that_it_has_in_a_query(kind: str, text: str, value: object) -> None:
    found = queries.value(text, kind, "Field__c")
    assert (found, type(found)) == (value, type(value))


def test_a_case_without_a_contact_has_real_nulls(box: Sandbox, crm: Salesforce) -> None:
    [ticket] = box.salesforce.make_cases(1)
    box.salesforce.edit(ticket, {"ContactId": None})
    values = crm.read([ticket])[ticket].values
    assert (values["opted_out"], values["mobile"]) == (None, None)


def test_a_lookup_to_several_kinds_of_record_has_the_fields_of_each(box: Sandbox, tmp_path: Path) -> None:
    """Owner is a group or a user; only users have a Username."""
    crm = connected(box, tmp_path, ('web_phone = "SuppliedPhone"', 'web_phone = "owner.username"'))
    [ticket] = box.salesforce.make_cases(1)
    assert not [misfit for misfit in crm.check() if "web_phone" in misfit.words and "no field" in misfit.words]
    assert "web_phone" in crm.read([ticket])[ticket].values
    crm.close()


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"Contact": {}},
        {"Contact": {"Name": "x"}},
        {"contact": "x"},
        {"Contact": []},
        {"Contact": 1},
        [],
        "x",
        1,
    ],
    ids=repr,
)
def test_a_field_missing_from_an_answer_is_an_error_and_never_empty(record: Any) -> None:
    with pytest.raises(Unavailable, match=r"lacks the field Contact\.Opt__c"):
        queries.follow(record, "Contact.Opt__c")
    assert queries.follow({"CONTACT": {"oPT__c": True}}, "Contact.Opt__c") is True
    assert queries.follow({"CONTACT": None}, "Contact.Opt__c") is None


def test_an_answer_that_lacks_the_opt_out_field_texts_nobody(box: Sandbox, crm: Salesforce) -> None:
    [ticket] = box.salesforce.make_cases(1)
    malformed(box, "query", {"totalSize": 1, "done": True, "records": [{"Id": ticket, "Subject": "x"}]})
    with pytest.raises(Unavailable, match="lacks the field"):
        isolation.read(crm, [ticket])


ODD_ANSWERS = [
    {},
    [],
    "null",
    "<html>maintenance</html>",
    '{"totalSize": 1, "do',
    {"totalSize": 2, "done": True, "records": []},
    {"totalSize": 0, "done": True},
    {"totalSize": 1, "done": True, "records": [{}]},
    {"totalSize": 1, "done": True, "records": [None]},
    {"totalSize": "1", "done": True, "records": []},
    [{"errorCode": "UNKNOWN_EXCEPTION", "message": "an unexpected error occurred"}],
    "7",
    '"x"',
    "",
]


@pytest.mark.parametrize("body", ODD_ANSWERS, ids=repr)
def test_a_query_answered_200_with_something_else_is_an_error_in_words(
    box: Sandbox, crm: Salesforce, body: Any
) -> None:
    """`{}`, `[]`, null, HTML, half of the JSON, wrong totals: tried again later."""
    [ticket] = box.salesforce.make_cases(1)
    malformed(box, "query", body)
    for ask in (lambda: crm.read([ticket]), crm.probe, lambda: list(crm.find(Query(where="Subject != null")))):
        with pytest.raises(Unavailable, match=r"Salesforce"):
            ask()


@pytest.mark.parametrize("body", [*ODD_ANSWERS, {"fields": []}, {"fields": [{}]}, {"fields": {}}], ids=repr)
def test_a_describe_answered_200_with_something_else_is_an_error_in_words(
    box: Sandbox, crm: Salesforce, body: Any
) -> None:
    [ticket] = box.salesforce.make_cases(1)
    malformed(box, "describe", body)
    for ask in (crm.warm_up, crm.check, lambda: crm.write([(ticket, {"Subject": "x"})])):
        with pytest.raises(Unavailable, match="Salesforce"):
            ask()


@pytest.mark.parametrize("body", [*ODD_ANSWERS, [{}], [{"success": True}, {"success": True}]], ids=repr)
def test_a_write_answered_200_with_something_else_is_tried_again(box: Sandbox, crm: Salesforce, body: Any) -> None:
    """A wrong count, `success` missing, an error for none of them."""
    [ticket] = box.salesforce.make_cases(1)
    crm.warm_up()
    malformed(box, "update_many", body)
    try:
        [answer] = crm.write([(ticket, {"Subject": "x"})])
    except Unavailable as error:
        answer = error
    assert isinstance(answer, Unavailable)


@pytest.mark.parametrize(
    "item",
    [
        None,
        "x",
        {"success": None},
        {"success": "true"},
        {"success": False},
        {"success": False, "errors": "x"},
        {"success": False, "errors": ["x"]},
        {"success": True, "id": "500zzzzzzzzzzzzAAA"},
    ],
    ids=repr,
)
def test_an_odd_answer_about_one_record_is_tried_again_and_spoils_no_other(
    box: Sandbox, crm: Salesforce, item: Any
) -> None:
    """`success` missing, an answer about another record: nothing is known of that one."""
    first, second = box.salesforce.make_cases(2)
    crm.warm_up()
    malformed(box, "update_many", [item, {"id": second, "success": True, "errors": []}])
    odd, fine = crm.write([(first, {"Subject": "x"}), (second, {"Subject": "x"})])
    assert isinstance(odd, Unavailable)
    assert fine is None


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("bulk_create", {}),
        ("bulk_create", []),
        ("bulk_create", {"id": "../../x"}),
        ("bulk_state", {}),
        ("bulk_state", "null"),
        ("bulk_state", {"state": 1}),
        ("bulk_results", "<html>"),
        ("bulk_results", ""),
        ("bulk_results", '"Id"\n"x'),
        ("bulk_results", '"Id"\n"500000000000001AAA"\n'),
    ],
    ids=str,
)
def test_a_query_job_answered_with_something_else_is_an_error_in_words(
    box: Sandbox, crm: Salesforce, monkeypatch: pytest.MonkeyPatch, route: str, body: Any
) -> None:
    monkeypatch.setattr(queries, "MAX_BY_QUERY", 0)
    box.salesforce.make_cases(2)
    malformed(box, route, body)
    with pytest.raises(Unavailable, match="Salesforce"):
        list(crm.find(Query(where="Subject != null OR Subject = null")))


def test_a_job_that_gives_fewer_records_than_it_found_is_no_answer(
    box: Sandbox, crm: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MAX_BY_QUERY", 0)
    box.salesforce.make_cases(2)
    malformed(box, "bulk_state", {"state": "JobComplete", "numberRecordsProcessed": 999_999})
    with pytest.raises(Unavailable, match="of the 999999 records"):
        list(crm.find(Query(where="Subject != null OR Subject = null")))


@pytest.mark.parametrize("name", ["CCAIP_SMS_Error__c", "ccaip_sms_error__C"])
@pytest.mark.parametrize("why", ["x" * 400, "ü" * 400, "😀" * 400, "x" + "😀" * 400], ids=["x", "ü", "pair", "odd"])
@pytest.mark.parametrize("warm", [True, False])
def test_a_write_back_field_in_another_case_is_cut_to_its_length_in_utf_16(
    box: Sandbox, tmp_path: Path, name: str, why: str, warm: bool
) -> None:
    """Also where the org could not be asked when the worker started."""
    [ticket] = box.salesforce.make_cases(1)
    crm = connected(box, tmp_path, ("CCAIP_SMS_Error__c", name))
    if warm:
        crm.warm_up()
    assert crm.write([(ticket, {name: why})]) == [None]
    written = box.salesforce.case(ticket)["CCAIP_SMS_Error__c"]
    assert 253 <= len(written.encode("utf-16-le")) // 2 <= 255
    assert why.startswith(written)
    crm.close()


@given(st.text(max_size=40), st.integers(1, 40))
def test_a_text_is_cut_between_characters(text: str, length: int) -> None:
    short = adapter.cut(text, length)
    assert text.startswith(short)
    assert len(short.encode("utf-16-le")) <= 2 * length
    rest = text[len(short) :]
    assert not rest or len((short + rest[0]).encode("utf-16-le")) > 2 * length


WRONG = "500000000000002AAB"


def test_one_id_with_a_wrong_checksum_fails_alone_and_never_means_another_ticket(box: Sandbox, crm: Salesforce) -> None:
    """For reading, for what still fits a query, and for the write-back."""
    tickets = box.salesforce.make_cases(3)
    wrong = tickets[1][:15] + ("AAB" if tickets[1].endswith("AAA") else "AAA")
    given_ids = [tickets[0], wrong, tickets[2]]
    found = isolation.read(crm, given_ids)
    assert [isinstance(found[one], Ticket) for one in given_ids] == [True, False, True]
    assert str(found[wrong]) == ids.WRONG_CHECKSUM
    assert crm.fitting(Query(where="Subject = null OR Subject != null"), given_ids) == {tickets[0], tickets[2]}
    crm.warm_up()
    answers = crm.write([(one, {"Subject": "written"}) for one in given_ids])
    assert [isinstance(answer, CallFailed) for answer in answers] == [False, True, False]
    assert [box.salesforce.case(one)["Subject"] == "written" for one in tickets] == [True, False, True]


def test_a_ticket_without_the_field_that_is_its_ticket_id_is_not_texted(tmp_path: Path) -> None:
    text = SHIPPED.replace('id = "id" ', 'id = "case_number" ')
    assert text != SHIPPED
    (tmp_path / "salesforce.toml").write_text(text)
    mapping = Mapping(loader.load(tmp_path / "salesforce.toml"), "+16285550199", ["US"])
    values = dict.fromkeys(mapping.file.fields) | {
        "id": "500000000000001AAA",
        "sms_status": "Requested",
        "mobile": "+14155550132",
    }
    for empty in (None, "", " "):
        decided = mapping.decide(Ticket("salesforce", "500000000000001AAA", values | {"case_number": empty}))
        assert isinstance(decided, Skip)
        assert decided.why == "CaseNumber is empty: no text without a ticket_id"
    assert not isinstance(mapping.decide(Ticket("salesforce", "x", values | {"case_number": "1"})), Skip)


def test_a_field_that_is_written_twice_in_two_cases_of_letters_is_refused(box: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(BadMapping, match="expected each field once"):
        connected(box, tmp_path, ("[write_back.failed]\n", '[write_back.failed]\nccaip_sms_STATUS__c = "Sent"\n'))


@pytest.mark.parametrize("path", ["Case.CCAIP_SMS_Status__c", "case.ccaip_sms_status__c", "ccaip_sms_STATUS__c"])
def test_a_loop_is_found_however_the_field_is_spelt(box: Sandbox, tmp_path: Path, path: str) -> None:
    with pytest.raises(BadMapping, match="would fire again"):
        connected(
            box,
            tmp_path,
            ('sms_status = "CCAIP_SMS_Status__c"', f'sms_status = "{path}"'),
            ('CCAIP_SMS_Status__c = "Failed"', 'CCAIP_SMS_Status__c = "Requested"'),
        )


def test_a_refused_query_is_in_words(crm: Salesforce) -> None:
    for where in ("", "Subject = 'x", "a) OR (b = 1", "Status = 'New' LIMIT 5", "Id = '1'; x", "a = 1 -- b"):
        with pytest.raises(Refused, match="the query cannot be read: "):
            list(crm.find(Query(where=where)))


def test_a_salesforce_that_answers_200_with_nothing_is_a_clear_problem_and_a_log_line_and_passes(
    pipe: Pipe, case: str
) -> None:
    """`{}` for everything: a preview says so, the worker logs it, tries again, and texts when it is over."""
    malformed(pipe.box, "query", {}, times=6)
    key = pipe.api_key()
    answer = pipe.api("POST", "/texts/preview", key, json={"ticket_id": case})
    assert answer.status_code == 503, answer.text
    assert "Salesforce's answer" in answer.json()["detail"]

    pipe.box.salesforce.request_text(case)

    assert pipe.told(case)[-1]["state"] == "sent"
    logs = "".join(path.read_text() for path in pipe.logs.glob("*.log"))
    assert "an account cannot be used" in logs
