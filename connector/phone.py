"""From what people type into a phone field to a number that can be texted, or the reason why not."""

import functools
import re
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

# https://www.itu.int/rec/T-REC-E.164
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
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
    """Read one number as typed: any punctuation, vanity letters, full-width digits; an extension is dropped.

    `country` is the ISO 3166 code of the country whose numbers are written without "+"; `allowed` the codes of the
    countries that may be texted.
    """
    try:
        number = phonenumbers.parse(typed, country)
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


def first_usable(fields: Iterable[tuple[str, object]], country: str, allowed: Sequence[str]) -> Number | Unusable:
    """The first of the (field, typed) pairs that can be texted; else what is wrong with each, field by field."""
    problems = []
    for field, typed in fields:
        if typed is None or not str(typed).strip():
            continue
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
    in two zones, and numbers move between them.
    """
    return _zones_of_area(e164[2:5]) if re.fullmatch(r"\+1[2-9][0-9]{9}", e164) else _zones_of(e164)


@functools.lru_cache(maxsize=1_000)
def _zones_of_area(area: str) -> frozenset[str]:
    numbers = (phonenumbers.PhoneNumber(1, int(f"{area}{exchange}0100")) for exchange in range(200, 1000))
    return frozenset().union(*map(_in_table, numbers))


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
        number = phonenumbers.parse(typed)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
