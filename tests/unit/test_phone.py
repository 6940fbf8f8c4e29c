"""What people type into a phone field, and what becomes of it."""

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import phone
from connector.phone import Number, Unusable

US = ["US"]
BESIDE = "more than a phone number: there are words or signs beside it"


@pytest.mark.parametrize(
    ("typed", "country", "allowed", "e164"),
    [
        pytest.param("+1 415-555-0100", "US", US, "+14155550100", id="the vendor's own example"),
        pytest.param("(415) 555-0100", "US", US, "+14155550100", id="national, with brackets"),
        pytest.param("4155552671", "US", US, "+14155552671", id="digits only"),
        pytest.param("1 415 555 2671", "US", US, "+14155552671", id="trunk prefix"),
        pytest.param("415.555.2671", "US", US, "+14155552671", id="dots"),
        pytest.param("  415-555-2671\n", "US", US, "+14155552671", id="spaces around"),
        pytest.param("\u00a0(415)\u2011555\u20112671", "US", US, "+14155552671", id="typographic hyphens and spaces"),
        pytest.param("４１５－５５５－２６７１", "US", US, "+14155552671", id="full-width digits"),
        pytest.param("＋１ ４１５ ５５５ ２６７１", "DE", US, "+14155552671", id="full-width plus"),
        pytest.param("٤١٥٥٥٥٢٦٧١", "US", US, "+14155552671", id="arabic-indic digits"),
        pytest.param("1-415-FLOWERS", "US", US, "+14153569377", id="vanity letters"),
        pytest.param("(415) 555-2671 ext. 9", "US", US, "+14155552671", id="an extension is dropped"),
        pytest.param("415-555-2671x9", "US", US, "+14155552671", id="a short extension is dropped"),
        pytest.param("tel:+1-415-555-2671;ext=3", "US", US, "+14155552671", id="a tel address"),
        pytest.param("+14155552671", "DE", US, "+14155552671", id="a country code beats the country"),
        pytest.param("011 44 7400 123456", "US", ["GB"], "+447400123456", id="international prefix of the country"),
        pytest.param("07400 123456", "GB", ["US", "GB"], "+447400123456", id="another country, allowed"),
        pytest.param("+1 416 555 0123", "US", ["US", "CA"], "+14165550123", id="the neighbour, allowed"),
        pytest.param("0151 23456789", "DE", phone.EVERY_COUNTRY, "+4915123456789", id="every country"),
    ],
)
def test_a_number_that_can_be_texted_becomes_e164(typed: str, country: str, allowed: list[str], e164: str) -> None:
    assert phone.read(typed, country, allowed) == Number(e164)


@given(st.from_regex(r"\+(1[2-9][0-9]{9}|44[1-9][0-9]{8,9}|800[0-9]{8}|[1-9][0-9]{6,13})", fullmatch=True))
def test_a_number_is_valid_if_the_numbering_plans_say_so(typed: str) -> None:
    try:
        valid = phonenumbers.is_valid_number(phonenumbers.parse(typed))
    except phonenumbers.NumberParseException:
        return
    assert (phone.read(typed, "US", US) != Unusable("is not a valid number")) is valid


@pytest.mark.parametrize(
    ("typed", "country", "allowed", "why"),
    [
        pytest.param("", "US", US, "is not a phone number", id="empty"),
        pytest.param("call me", "US", US, "is not a phone number", id="letters"),
        pytest.param("n/a", "US", US, "is not a phone number", id="n/a"),
        pytest.param("\x00", "US", US, "is not a phone number", id="NUL"),
        pytest.param("9" * 300, "US", US, "is not a phone number", id="300 digits"),
        pytest.param("4155552671", "ZZ", US, "is not a phone number", id="national, no country known"),
        pytest.param("4155552671", "", US, "is not a phone number", id="national, empty country"),
        pytest.param("555-2671", "US", US, "is not a valid number", id="too short"),
        pytest.param("415-555-26711", "US", US, "is not a valid number", id="too long"),
        pytest.param("000-000-0000", "US", US, "is not a valid number", id="zeros"),
        pytest.param("911", "US", US, "is not a valid number", id="emergency"),
        pytest.param("+1 415-555-2671 / 2672", "US", US, f"is {BESIDE}", id="two numbers in one"),
        pytest.param("628-5550 mob", "US", US, "is not a valid number", id="a label does not make a number whole"),
        pytest.param("1-800-FLOWERS", "US", US, "is a toll-free number", id="toll-free"),
        pytest.param("+1 900 234 5678", "US", US, "is a premium-rate number", id="premium rate"),
        pytest.param("+1 416 555 0123", "US", US, "is a number of CA; allowed: US", id="the neighbour's number"),
        pytest.param("+44 7400 123456", "US", US, "is a number of GB; allowed: US", id="another country"),
        pytest.param("+44 7400 123456", "US", ["US", "DE"], "is a number of GB; allowed: US, DE", id="two allowed"),
        pytest.param("+800 1234 5678", "US", US, "is a number of 001; allowed: US", id="no country's number"),
    ],
)
def test_a_number_that_cannot_be_texted_says_why(typed: str, country: str, allowed: list[str], why: str) -> None:
    assert phone.read(typed, country, allowed) == Unusable(why)


@given(
    st.one_of(st.text(), st.from_regex(r"[+(]?[0-9０-９ ().x;#-]{5,20}", fullmatch=True)),
    st.one_of(st.text(max_size=4), st.sampled_from(phone.EVERY_COUNTRY)),
    st.lists(st.sampled_from(phone.EVERY_COUNTRY), max_size=3),
)
def test_whatever_is_typed_is_e164_or_unusable_with_words(typed: str, country: str, allowed: list[str]) -> None:
    match phone.read(typed, country, allowed):
        case Number(e164):
            assert re.fullmatch(r"\+[1-9][0-9]{6,14}", e164)
            assert phone.read(e164, "ZZ", allowed) == Number(e164)
        case Unusable(why):
            assert re.match(r"is ", why)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        pytest.param([("Mobile", "415-555-2671"), ("Phone", "415-555-0100")], Number("+14155552671"), id="the best"),
        pytest.param([("Mobile", None), ("Phone", "415-555-0100")], Number("+14155550100"), id="empty ones are passed"),
        pytest.param([("Mobile", " "), ("Phone", "415-555-0100")], Number("+14155550100"), id="blank ones are passed"),
        pytest.param([("Mobile", "call"), ("Phone", "415-555-0100")], Number("+14155550100"), id="bad ones are passed"),
        pytest.param([("Mobile", 4155552671)], Number("+14155552671"), id="a number field"),
        pytest.param([], Unusable("there is no phone number on the ticket"), id="no fields"),
        pytest.param([("Mobile", None), ("Phone", "")], Unusable("there is no phone number on the ticket"), id="empty"),
        pytest.param(
            [("Mobile", "call"), ("Phone", None), ("Web", "1-800-356-9377")],
            Unusable("Mobile is not a phone number; Web is a toll-free number"),
            id="what is wrong with each, by its field",
        ),
    ],
)
def test_the_first_usable_of_several_fields_is_taken(
    fields: list[tuple[str, object]], found: Number | Unusable
) -> None:
    assert phone.first_usable(fields, "US", US) == found


@pytest.mark.parametrize(
    "typed",
    [
        "DO NOT TEXT 415-555-0132",
        "do not text",
        "Don’t contact",
        "no sms!",
        "415-555-0132 (opted out)",
        "415 555 0132 STOP",
        "415-555-STOP",
        "deceased 415-555-0133",
        "verstorben",
        "fallecida",
        "Décédé",
        "no enviar mensajes",
        "pas de SMS",
        "ＤＯ ＮＯＴ ＴＥＸＴ",
    ],
)
def test_no_other_field_is_used_after_one_that_says_not_to_text(typed: str) -> None:
    found = phone.first_usable([("Mobile", typed), ("Phone", "415-555-0100")], "US", US)
    assert found == Unusable("Mobile says not to text this customer")


@pytest.mark.parametrize("typed", ["415-555-0132 mom", "call in the morning", "wrong number", "none", "text"])
def test_other_notes_are_about_their_own_field(typed: str) -> None:
    found = phone.first_usable([("Mobile", typed), ("Phone", "415-555-0100")], "US", US)
    assert found == Number("+14155550100")


def test_a_field_that_can_be_texted_comes_before_a_note_in_a_later_one() -> None:
    found = phone.first_usable([("Mobile", "415-555-2671"), ("Phone", "415-555-0100 (no texts)")], "US", US)
    assert found == Number("+14155552671")


@pytest.mark.parametrize(
    ("number", "shown"), [("+14155550132", "••••••••••32"), ("+123", "••23"), ("12", "12"), ("1", "1"), ("", "")]
)
def test_a_masked_number_shows_its_last_two_digits_only(number: str, shown: str) -> None:
    assert phone.mask(number) == shown


@pytest.mark.parametrize("typed", ["+1415555013", "+1999", "4155550132", "", "+141555501321"])
def test_what_is_no_whole_number_with_its_country_is_none(typed: str) -> None:
    assert phone.e164(typed) is None


MORE = Unusable(f"is {BESIDE}")


WORDS_BESIDE = """
628-5550 mom
415-2671 eva
415-555 anna
415-555 ANNA
4155 MOTHER
415-FLOWERSHOP
415-FLOWER
DO NOT TEXT 415-555-0132
415-555-0132 do not text
deceased 415-555-0133
wrong number 415-555-0132
415-555-0132 (wrong)
old: 415-555-0132
415-555-0132 or 415-555-0133
415-555-0132, 415-555-0133
415-555-0132; 415-555-0133
415-555-0132 & 0133
cell 415-555-0132 mom
mobile 415-555-0132 mobile
fax 415-555-0132
415-555-0132 📵
415-555-0132 ✝
☎ 415-555-0132 nicht
415-555-0132 né
415-555-013²
①415-555-0132
whatsapp:+14155550132
415-555-0132 x
*67 415-555-0132
4155550132 2nd
ДО 415-555-0132
415-555-OI32
4l5-555-0132
（妈妈）415-555-0132
415-555-0132 int. 5 Eva
n/a 415-555-0132
415-555-0132?
x 415-555-0132
tel 415-555-0132 tel
"""


@pytest.mark.parametrize("typed", WORDS_BESIDE.strip().splitlines())
def test_words_and_signs_beside_a_number_make_it_unusable(typed: str) -> None:
    assert phone.read(typed, "US", US) == MORE
    assert phone.e164(typed.replace("415", "+1415")) is None


def test_a_name_beside_a_number_of_another_country_makes_it_unusable() -> None:
    assert phone.read("0664 1234567 (Eva)", "AT", ["AT"]) == MORE
    assert phone.read("0664 1234567", "AT", ["AT"]) == Number("+436641234567")


LABELLED = """
cell: 415-555-2671
Cell 415-555-2671
mobile 415-555-2671
415-555-2671 (mobile)
415-555-2671 mob.
Tel.: (415) 555-2671
tel:+14155552671
m: 415-555-2671
415-555-2671 (c)
Móvil: 415 555 2671
Ｔｅｌ： 415-555-2671
415–555–2671
(+1) 415 555 2671
+1 (415) 555.2671 ext. 12
415-555-2671, ext 12
415-555-2671 #12
phone: 415-555-2671 x12
"""
INVISIBLE = [
    "\u202d(415) 555-2671\u202c",
    "\u200e+1\xa0415\u2011555\u20112671\u200f",
    "415\u200b5552671",
    "\ufeff415-555-2671",
]


@pytest.mark.parametrize("typed", [*LABELLED.strip().splitlines(), *INVISIBLE])
def test_a_label_and_what_cannot_be_seen_change_nothing(typed: str) -> None:
    assert phone.read(typed, "US", US) == Number("+14155552671")


@given(
    st.text(min_size=1, max_size=12),
    st.text(max_size=12),
    st.sampled_from(["4155552671", "(415) 555-2671", "+1 415 555 2671", "415-555-2671"]),
)
def test_whatever_stands_beside_a_number_nobody_else_is_texted(before: str, after: str, number: str) -> None:
    extra = [sign for sign in before + after if sign.isalpha()]
    match phone.read(f"{before} {number} {after}", "US", US):
        case Number(e164):
            assert e164 == "+14155552671" or not extra, "digits beside it may make it another, letters never"


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8), st.integers(3, 9))
def test_letters_never_fill_up_a_number_that_is_too_short(word: str, digits: int) -> None:
    assert isinstance(phone.read(f"{'4155552671'[:digits]} {word}", "US", US), Unusable)


def test_a_number_that_a_crm_keeps_as_a_fraction_is_itself() -> None:
    assert phone.first_usable([("Mobile", 4155552671.0)], "US", US) == Number("+14155552671")


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+18685551234", {"America/Port_of_Spain"}),
        ("+18765551234", {"America/Jamaica"}),
        ("+18095551234", {"America/Santo_Domingo"}),
        ("+18495551234", {"America/Santo_Domingo"}),
        ("+16845551234", {"Pacific/Pago_Pago"}),
        ("+12425551234", {"America/Nassau"}),
        ("+15005550006", set()),
        ("+18005551234", set()),
        ("+14155550132", {"America/Los_Angeles"}),
        ("+442079460123", {"Europe/London"}),
    ],
)
def test_a_number_of_an_unknown_area_has_its_countrys_zone_or_none(number: str, zones: set[str]) -> None:
    assert phone.zones(number) == zones


def test_no_north_american_area_is_in_dozens_of_zones() -> None:
    assert max(len(phone.zones(f"+1{area}5550100")) for area in range(200, 1000, 5)) < 6


@pytest.mark.parametrize(
    ("typed", "country"),
    [
        *((typed, "US") for typed in ("628-5550 (415)", "628-5550 / 415", "628.5550(415)", "1-628-5550 (415)")),
        *((typed, "US") for typed in ("415-555-0132/0133", "+43 664 1234567/8", "+49 170 1234567 (2)")),
        *((typed, "AT") for typed in ("0664 1234567/8", "0664 1234567 / 68", "0664 1234567 12")),
        *((typed, "AT") for typed in ("0664 1234567-12", "+43 664 1234567 - 1", "0664/1234567.12")),
        ("2 06 12345678", "IT"),
        *((typed, "DE") for typed in ("0170 1234567 (2)", "(0170) 1234567 (1)", "2 0170 1234567")),
    ],
)
def test_parts_out_of_order_and_parts_of_another_number_are_not_dialled(typed: str, country: str) -> None:
    """An area code behind the number, a second number and a note would make a stranger's number."""
    assert isinstance(phone.read(typed, country, phone.EVERY_COUNTRY), phone.Unusable)
    assert phone.e164(typed) is None


@pytest.mark.parametrize(
    ("typed", "country", "e164"),
    [
        ("+44 (0)20 7946 0123", "GB", "+442079460123"),
        ("0664/1234567", "AT", "+436641234567"),
        ("0664 123 456 78", "AT", "+4366412345678"),
        ("+43/664/1234567", "AT", "+436641234567"),
        ("0170 / 123 45 67", "DE", "+491701234567"),
        ("0151 23 45 67 89", "DE", "+4915123456789"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("26 01 23 45", "DK", "+4526012345"),
        ("30 010 123", "TN", "+21630010123"),
        ("08123-456-78", "DE", "+49812345678"),
        ("1 (415) 555-0132", "US", "+14155550132"),
        ("415-555-CARS", "US", "+14155552277"),
    ],
)
def test_usual_groupings_are_one_number(typed: str, country: str, e164: str) -> None:
    assert phone.read(typed, country, phone.EVERY_COUNTRY) == phone.Number(e164)


@pytest.mark.parametrize("letters", ["DECEASE", "INVALID", "UNKNOWN", "DONTTXT", "555-STOP", "555-DEAD", "555-GONE"])
def test_words_in_the_shape_of_a_vanity_number_are_not_dialled(letters: str) -> None:
    assert isinstance(phone.read(f"415-{letters}", "US", ["US"]), phone.Unusable)
