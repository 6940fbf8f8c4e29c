"""Field types shared by the mapping and the policy."""

from typing import Annotated

import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from connector import phone
from connector.expected import matching
from connector.expressions import Condition, Template
from connector.languages import EXPECTED, FixedWords, Messages, tag


def compiled(kind: type, may_be_empty: bool = False) -> BeforeValidator:
    def compile_source(source: object) -> object:
        if not isinstance(source, str) or not (source.strip() or may_be_empty):
            raise ValueError("expected text")
        return kind(source)

    return BeforeValidator(compile_source)


def _e164(number: str) -> str:
    if not phone.E164.fullmatch(number):
        raise ValueError('expected a number in E.164, such as "+16285550199"')
    return number


def _language(written: str) -> str:
    found = tag(written)
    if found is None:
        raise ValueError(EXPECTED)
    return found


def _country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError('expected an ISO 3166 country code in capitals, such as "US"')
    return code


Name = Annotated[
    str, matching(r"[a-z][a-z0-9_]*", 'expected a name in small letters, digits and underscores, such as "first_name"')
]
FieldPath = Annotated[
    str,
    matching(
        r"(?a:[A-Za-z]\w*(\.[A-Za-z]\w*)*)",
        'expected the CRM\'s own name of a field, such as "CaseNumber", or a path of them, such as "Contact.FirstName"',
    ),
]
FieldName = Annotated[str, matching(r"(?a:[A-Za-z]\w*)", 'expected the CRM\'s own name, such as "CCAIP_SMS_Status__c"')]
E164 = Annotated[str, AfterValidator(_e164)]
Country = Annotated[str, AfterValidator(_country)]
AnyTemplate = Annotated[Template, compiled(Template)]
AnyMessage = Annotated[Messages, BeforeValidator(Messages)]
AnyFixedWords = Annotated[FixedWords, BeforeValidator(FixedWords)]
Language = Annotated[str, AfterValidator(_language)]
AnyCondition = Annotated[Condition, compiled(Condition)]
StatusWord = Annotated[str, Field(min_length=1, max_length=255)]
Written = Annotated[dict[FieldName, Annotated[Template, compiled(Template, may_be_empty=True)]], Field(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)
