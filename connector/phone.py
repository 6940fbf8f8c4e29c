"""From what people type into a phone field to a number that can be texted, or the reason why not."""

import functools
import importlib.resources
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType

# The kinds of number that the numbering plans know and that no text reaches.
# https://github.com/google/libphonenumber describes each.
CANNOT_GET_TEXTS = {
    PhoneNumberType.TOLL_FREE: "is a toll-free number",
    PhoneNumberType.PREMIUM_RATE: "is a premium-rate number",
    PhoneNumberType.SHARED_COST: "is a shared-cost number",
    PhoneNumberType.PAGER: "is a pager",
    PhoneNumberType.UAN: "is a company's universal access number",
    PhoneNumberType.VOICEMAIL: "is a voicemail access number",
}

# What may stand beside a number, and says no more than that it is one.
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
# A North American number in full with one block of letters at its end: 415-FLOWERS, 415-555-CARS.
VANITY = re.compile(r"(?:\+?1[-. ]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[-.])(?:[A-Z]{7}|[0-9]{3}[-.][A-Z]{4})")
# Unicode's categories: format characters, such as those that a copied number brings along; dashes; digits that are
# notes (¹) or ornaments (①).
INVISIBLE, DASH, FORGED_DIGITS = "Cf", "Pd", ("No", "Nl")
# https://www.itu.int/rec/T-REC-E.164
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# Toll-free, and of no area: what the table says of it, it says of every +1 number that it does not know.
NO_AREA = "800"
EVERY_COUNTRY = tuple(sorted(phonenumbers.SUPPORTED_REGIONS))


@dataclass(frozen=True, slots=True)
class Number:
    """A number that can be texted, E.164."""

    e164: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a number cannot be texted, in words that start with a verb."""

    why: str


def read(typed: str, country: str, allowed: Sequence[str]) -> Number | Unusable:
    """Read one number as typed: any punctuation, full-width digits, a whole vanity number; an extension is dropped.

    Words beside a number may say that it must not be texted, and letters would count as digits: a field with words is
    unusable, but for LABELS. `country` is the ISO 3166 code of the country whose numbers are written without "+";
    `allowed` the codes of the countries that may be texted.
    """
    if not any(sign.isdecimal() for sign in typed):
        return Unusable("is not a phone number")
    alone = _alone(typed)
    if alone is None:
        return Unusable("is more than a phone number: there are words or signs beside it")
    try:
        number = phonenumbers.parse(alone, country)
    except phonenumbers.NumberParseException:
        return Unusable("is not a phone number")
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:  # which is what makes a number invalid; to ask for that too takes twice as long
        return Unusable("is not a valid number")
    region = phonenumbers.region_code_for_number(number)
    if region not in allowed:
        return Unusable(f"is a number of {region or 'no country'}; allowed: {', '.join(allowed)}")
    if reason := CANNOT_GET_TEXTS.get(kind):
        return Unusable(reason)
    return Number(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _alone(typed: str) -> str | None:
    """The number without invisible signs, its label and its extension; None: there is something else beside it."""
    if any(unicodedata.category(sign) in FORGED_DIGITS for sign in typed):
        return None
    visible = "".join(sign for sign in typed if unicodedata.category(sign) != INVISIBLE)
    text = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else "-" if unicodedata.category(sign) == DASH else sign
        for sign in unicodedata.normalize("NFKC", visible)
    ).strip()
    found = WITH_LABEL.fullmatch(text)
    if found and bool(found["before"]) + bool(found["after"]) < 2:
        return found["number"]
    return text if VANITY.fullmatch(text) else None


def first_usable(fields: Iterable[tuple[str, object]], country: str, allowed: Sequence[str]) -> Number | Unusable:
    """The first of the (field, typed) pairs that can be texted; else what is wrong with each, field by field."""
    problems = []
    for field, typed in fields:
        if typed is None or not str(typed).strip():
            continue
        if isinstance(typed, float) and typed.is_integer():
            typed = int(typed)  # its ".0" would be one more digit
        match read(str(typed), country, allowed):
            case Number() as number:
                return number
            case Unusable(why):
                problems.append(f"{field} {why}")
    return Unusable("; ".join(problems) if problems else "there is no phone number on the ticket")


def mask(number: str) -> str:
    """The number as logs and screens show it: "+1•••••••••32", its last two digits only."""
    return "•" * max(len(number) - 2, 0) + number[-2:]


def national(e164: str) -> str:
    """The digits that are in every way of writing this number: those without the country code."""
    return e164.removeprefix(f"+{phonenumbers.parse(e164).country_code}")


def zones(e164: str) -> frozenset[str]:
    """The IANA time zones that a number may be in; none: it says nothing.

    Of a North American number all those of its area code: the table knows only some exchanges of an area code that lies
    in two zones, and numbers move between them. Where the table knows no more than the country code, which 25 countries
    share, it is the zone of the number's country, if that has a single one.
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
    """The zone of the country whose number it is; none, where there are several, or no country."""
    zones = _country_zones().get(phonenumbers.region_code_for_number(phonenumbers.parse(e164)) or "", [])
    return frozenset(zones) if len(zones) == 1 else frozenset()


@functools.cache
def _country_zones() -> dict[str, list[str]]:
    """By ISO 3166 code, from the time zone database: its lines have code, coordinates, zone and comments."""
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
    from phonenumbers import timezone  # a table, for those who look at the time

    return frozenset(timezone.time_zones_for_number(number)) - {timezone.UNKNOWN_TIMEZONE}


def e164(typed: str) -> str | None:
    """A number that was typed with its country code, in E.164; None: it is none, or a digit too many or too few."""
    try:
        number = phonenumbers.parse(_alone(typed) or "")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
