"""Convert a typed phone field to a number that can be texted, or to the reason why it cannot."""

import functools
import importlib.resources
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType
from phonenumbers.phonenumberutil import ndd_prefix_for_region

# Number types of the numbering plans that receive no texts. https://github.com/google/libphonenumber describes each.
CANNOT_GET_TEXTS = {
    PhoneNumberType.TOLL_FREE: "is a toll-free number",
    PhoneNumberType.PREMIUM_RATE: "is a premium-rate number",
    PhoneNumberType.SHARED_COST: "is a shared-cost number",
    PhoneNumberType.PAGER: "is a pager",
    PhoneNumberType.UAN: "is a company's universal access number",
    PhoneNumberType.VOICEMAIL: "is a voicemail access number",
}

# Labels that may stand beside a number: they say no more than that it is one.
LABELS = (
    "tel|telephone|telefon|teléfono|telefone|phone|ph|mobile|mob|cell|cellphone|cellular|celular|cel|móvil|movil|"
    "telemóvel|portable|handy|sms|t|p|m|c"
)
WITH_LABEL = re.compile(
    rf"(?P<before>(?:{LABELS})\b[.:]*\s*)?"
    r"(?P<number>\(?\+?[0-9\s().\[\]/~-]+?)"
    r"(?:(?:;ext=|\s*,?\s*(?:extension|extn|ext|x|#)[.:]?\s*)[0-9]{1,7})?"
    rf"\s*(?P<after>\(?(?:{LABELS})\.?\)?)?",
    re.IGNORECASE,
)
# A full North American number that ends in one block of letters: 415-FLOWERS, 415-555-CARS.
VANITY = re.compile(r"(?:\+?1[-. ]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[-.])(?:[A-Z]{7}|[0-9]{3}[-.][A-Z]{4})")
# What people write in the place of a number, as letters at its end: it is no vanity number.
NOT_VANITY = re.compile(
    r"STOP|DEAD|DECEASE|GONE|VOID|NONE|NULL|INVALID|UNKNOWN|WRONG|DONT|NOTEXT|TXT|BLOCK|SPAM|QUIT|CANCEL|REMOVE|DELETE|"
    r"OPTOUT|REFUSE|DNC|DNT"
)
# Notes that mean the customer, not only the number beside them. After one, no other field of the ticket is used.
NOT_TO_BE_TEXTED = re.compile(
    r"\b(?:(?:do not|don['’]?t|never|no)\s*(?:text|txt|sms|message|contact)|dnt|opt(?:ed|s)?[\s-]?out|"
    r"unsubscribed?|stop|deceased|died|passed away|verstorben|fallecid[oa]|difunt[oa]|d[ée]c[ée]d[ée]|falecid[oa]|"
    r"(?:keine?|nicht|sin|sans|sem|pas de|plus de)\s+(?:sms|texte?n?|textos?|mensajes?|messages?|mensagens?)|"
    r"(?:no|n[ãa]o|ne pas)\s+(?:enviar|mandar|escribir|contactar|contatar|envoyer|contacter))",
    re.IGNORECASE,
)
# Parts that belong to no number, or to another one: an area code, a note or an alternative behind the number.
BRACKETED = re.compile(r"[(\[]")
MAX_DIGITS_BEFORE_BRACKET = 4  # a country code, or an international prefix with it
MAX_DIGITS_BEFORE_SLASH, MIN_DIGITS_AFTER_SLASH = 7, 4
# A short group of digits behind a long one reads as an extension or a note: 0664 1234567 12, 0664 1234567-12.
TRAILING_NOTE = re.compile(r"[0-9]{6,}[\s.~-]+[0-9]{1,3}")
# A number in a list, or a note, before one that begins with its own prefix: 2 0170 1234567.
LEADING_NOTE = re.compile(r"[1-9][0-9]?[\s.)]+(?P<rest>0[0-9].*)")
PREFIX = "0"  # that of most countries; in the others, a group within a number may begin with 0: 26 01 23 45
# Unicode categories: format characters, which often come with a copied number; dashes; digits that are notes (¹) or
# ornaments (①).
INVISIBLE, DASH, FORGED_DIGITS = "Cf", "Pd", ("No", "Nl")
# https://www.itu.int/rec/T-REC-E.164
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# A toll-free code, which has no area. The table gives its zones for every +1 number that it does not know.
NO_AREA = "800"
EVERY_COUNTRY = tuple(sorted(phonenumbers.SUPPORTED_REGIONS))


@dataclass(frozen=True, slots=True)
class Number:
    """A number that can be texted, in E.164."""

    e164: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """The reason why a number cannot be texted. It starts with a verb."""

    why: str


def read(typed: str, country: str, allowed: Sequence[str]) -> Number | Unusable:
    """Parse one typed number: any punctuation, full-width digits, a whole vanity number. An extension is dropped.

    A field with words other than LABELS is unusable: the words may say that the number must not be texted, and letters
    would count as digits. `country` is the ISO 3166 code of the country whose numbers are written without "+";
    `allowed` are the codes of the countries that may be texted.
    """
    if not any(sign.isdecimal() for sign in typed):
        return Unusable("is not a phone number")
    alone = _alone(typed)
    if alone is None or _has_note_before(alone, country):
        return Unusable("is more than a phone number: there are words or signs beside it")
    try:
        number = phonenumbers.parse(alone, country)
    except phonenumbers.NumberParseException:
        return Unusable("is not a phone number")
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:  # an invalid number; a check for validity too takes twice as long
        return Unusable("is not a valid number")
    region = phonenumbers.region_code_for_number(number)
    if region not in allowed:
        return Unusable(f"is a number of {region or 'no country'}; allowed: {', '.join(allowed)}")
    if reason := CANNOT_GET_TEXTS.get(kind):
        return Unusable(reason)
    return Number(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _alone(typed: str) -> str | None:
    """Return the number without invisible characters, label and extension; None: there is other text beside it."""
    if any(unicodedata.category(sign) in FORGED_DIGITS for sign in typed):
        return None
    visible = "".join(sign for sign in typed if unicodedata.category(sign) != INVISIBLE)
    text = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else "-" if unicodedata.category(sign) == DASH else sign
        for sign in unicodedata.normalize("NFKC", visible)
    )
    text = " ".join(text.split())  # WITH_LABEL would divide many blanks among its parts in every possible way
    found = WITH_LABEL.fullmatch(text)
    if found and bool(found["before"]) + bool(found["after"]) < 2:
        return found["number"] if _in_order(found["number"].strip()) else None
    return text if VANITY.fullmatch(text) and not NOT_VANITY.search(text) else None


def _in_order(number: str) -> bool:
    """Return whether all digits can belong to one number, in this order."""
    for bracket in BRACKETED.finditer(number):
        if _digits(number[: bracket.start()]) > MAX_DIGITS_BEFORE_BRACKET:
            return False
    before, slash, after = number.rpartition("/")
    if slash and (_digits(before) > MAX_DIGITS_BEFORE_SLASH or _digits(after) < MIN_DIGITS_AFTER_SLASH):
        return False
    return not TRAILING_NOTE.fullmatch(number[_last_long(number) :])


def _has_note_before(number: str, country: str) -> bool:
    """Return whether the number begins only behind its first digits, with the country's prefix or as a whole."""
    found = LEADING_NOTE.fullmatch(number.strip())
    if found is None:
        return False
    return ndd_prefix_for_region(country, True) == PREFIX or _is_valid(found["rest"], country)


def _is_valid(number: str, country: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, country))
    except phonenumbers.NumberParseException:
        return False


def _last_long(number: str) -> int:
    """Return where the last group of six digits or more begins; the end where there is none."""
    return max((found.start() for found in re.finditer(r"[0-9]{6,}", number)), default=len(number))


def _digits(text: str) -> int:
    return sum(sign.isdecimal() for sign in text)


def first_usable(fields: Iterable[tuple[str, object]], country: str, allowed: Sequence[str]) -> Number | Unusable:
    """Return the number of the first (field, typed) pair that can be texted; else the problem of each field.

    A field that says not to text the customer ends the search: the fields behind it name the same customer.
    """
    problems = []
    for field, typed in fields:
        if typed is None or not str(typed).strip():
            continue
        if NOT_TO_BE_TEXTED.search(unicodedata.normalize("NFKC", str(typed))):
            problems.append(f"{field} says not to text this customer")
            break
        if isinstance(typed, float) and typed.is_integer():
            typed = int(typed)  # the 0 of ".0" would count as a digit
        match read(str(typed), country, allowed):
            case Number() as number:
                return number
            case Unusable(why):
                problems.append(f"{field} {why}")
    return Unusable("; ".join(problems) if problems else "there is no phone number on the ticket")


def mask(number: str, shown: int = 2) -> str:
    """Return the number as logs and screens show it: "••••••••••32", its last digits only."""
    return "•" * max(len(number) - shown, 0) + number[-shown:]


def national(e164: str) -> str:
    """Return the digits without the country code. They are in every spelling of the number."""
    return e164.removeprefix(f"+{phonenumbers.parse(e164).country_code}")


def zones(e164: str) -> frozenset[str]:
    """Return the IANA time zones that a number may be in; empty: they cannot be derived from the number.

    A North American number has all zones of its area code: the table knows only some exchanges of an area code that
    lies in two zones, and numbers move between exchanges. Where the table knows no more than the country code, which 25
    countries share, the result is the zone of the number's country, if that has a single one.
    """
    if not re.fullmatch(r"\+1[2-9][0-9]{9}", e164):
        return _zones_of(e164)
    found = _zones_of_area(e164[2:5])
    return found if found != _zones_of_area(NO_AREA) else _zones_of_country(e164)


@functools.lru_cache(maxsize=1_000)
def _zones_of_area(area: str) -> frozenset[str]:
    numbers = (phonenumbers.PhoneNumber(1, int(f"{area}{exchange}0100")) for exchange in range(200, 1000))
    return frozenset().union(*map(_in_table, numbers))


@functools.lru_cache(maxsize=1_000)
def _zones_of_country(e164: str) -> frozenset[str]:
    """Return the zone of the number's country; empty where it has several, or no country is known."""
    zones = _country_zones().get(phonenumbers.region_code_for_number(phonenumbers.parse(e164)) or "", [])
    return frozenset(zones) if len(zones) == 1 else frozenset()


@functools.cache
def _country_zones() -> dict[str, list[str]]:
    """Return zones by ISO 3166 code, from the time zone database. Lines have code, coordinates, zone and comments."""
    zones: dict[str, list[str]] = {}
    table = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            zones.setdefault(country, []).append(zone)
    return zones


@functools.lru_cache(maxsize=10_000)
def _zones_of(e164: str) -> frozenset[str]:
    try:
        return _in_table(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return frozenset()


def _in_table(number: phonenumbers.PhoneNumber) -> frozenset[str]:
    from phonenumbers import timezone  # a large table, loaded only when needed

    return frozenset(timezone.time_zones_for_number(number)) - {timezone.UNKNOWN_TIMEZONE}


def e164(typed: str) -> str | None:
    """Return a number that was typed with its country code, in E.164; None: no number, or of the wrong length."""
    try:
        number = phonenumbers.parse(_alone(typed) or "")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
