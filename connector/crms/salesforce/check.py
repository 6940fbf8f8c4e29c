"""Find parts of the mapping that do not fit the org's `describe`: the fields that are read, and their conditions."""

from collections.abc import Iterator

from connector.crms import Misfit
from connector.crms.salesforce import describe, values
from connector.crms.salesforce.describe import Field, Things
from connector.expressions import Condition
from connector.mapping.schema import RECORD_FIELD_KEYS, MappingFile

# Field types that may hold a phone number.
PHONES = ("phone", "string", "textarea", "combobox", "encryptedstring")


def misfits(file: MappingFile, things: Things) -> Iterator[Misfit]:
    """Yield what does not fit. Raises like Session.call."""
    thing = things.named(file.ticket.object)
    if thing is None:
        yield Misfit(f"ticket.object: the org has no {file.ticket.object} that this user can see")
        return
    for right, words in (("queryable", "read"), ("updateable", "change")):
        if thing.described.get(right) is False:
            yield Misfit(f"ticket.object: this user may not {words} a {file.ticket.object}")
    yield from map(Misfit, describe.unreadable(file, things))
    fields = _fields(file, things)
    yield from _phones(file, fields)
    yield from _opt_out(file, fields)
    yield from _record_fields(file, fields, things)
    for key, condition in _conditions(file):
        yield from _compared(key, condition, fields)
    yield from values.misfits(file, thing)


def _fields(file: MappingFile, things: Things) -> dict[str, Field]:
    """Return the org's fields by the mapping's names, without those that the org lacks."""
    found = {name: things.field(file.ticket.object, describe.path_of(file, path)) for name, path in file.fields.items()}
    return {name: field for name, field in found.items() if not isinstance(field, str)}


def _phones(file: MappingFile, fields: dict[str, Field]) -> Iterator[Misfit]:
    for name in file.phones.prefer:
        kind = fields[name]["type"] if name in fields else "phone"
        if kind not in PHONES:
            yield Misfit(f"phones.prefer: {name} is a field of type {kind}, which holds no phone number")
        if kind == "encryptedstring":
            yield Misfit(f"phones.prefer: {name} is encrypted: users without View Encrypted Data read ****", False)


def _opt_out(file: MappingFile, fields: dict[str, Field]) -> Iterator[Misfit]:
    """Find opt-out fields of text: a text such as "No" counts as true, so every customer would have opted out."""
    condition = file.policy.opt_out
    if condition and condition.is_name and condition.source.strip() in fields:
        kind = fields[condition.source.strip()]["type"]
        if kind != "boolean":
            yield Misfit(
                f"policy.opt_out: {condition.source.strip()} is a field of type {kind}, so that any value means opted "
                "out; expected a checkbox, or a comparison with a value"
            )


def _record_fields(file: MappingFile, fields: dict[str, Field], things: Things) -> Iterator[Misfit]:
    """Find checkboxes of opt-outs and invalid numbers that cannot be written."""
    for kind, name in file.record_fields.items():
        if name in fields:
            key, field, path = RECORD_FIELD_KEYS[kind], fields[name], describe.path_of(file, file.fields[name])
            if field["type"] != "boolean":
                yield Misfit(f"{key}: {name} is a field of type {field['type']}; expected a checkbox")
            elif why := values.not_writable(field):
                yield Misfit(f"{key}: {name}: {why}")
            if things.target(file.ticket.object, path.split(".")[:-1]) is None:
                yield Misfit(f"{key}: {path} may belong to several kinds of record; expected a field of one kind")


def _conditions(file: MappingFile) -> Iterator[tuple[str, Condition]]:
    if file.policy.opt_out:
        yield "policy.opt_out", file.policy.opt_out
    yield from ((f"skip_when, {why}", condition) for why, condition in file.skip_when.items())
    for rule in file.rules:
        yield f'rule "{rule.name}", when', rule.when
        yield from ((f'rule "{rule.name}", skip_when, {why}', condition) for why, condition in rule.skip_when.items())


def _compared(key: str, condition: Condition, fields: dict[str, Field]) -> Iterator[Misfit]:
    """Find comparisons that are never true: a checkbox with text, a picklist with a value that it does not have."""
    for name, literal in condition.comparisons:
        field = fields.get(name)
        if field is None or literal is None:
            continue
        if field["type"] == "boolean" and not isinstance(literal, bool):
            yield Misfit(f"{key}: {name} is a checkbox: compare it with `true` or `false`, not with {literal!r}")
        elif field["type"] == "picklist" and _is_unlisted(field, literal):
            yield Misfit(f"{key}: {values.not_listed(field, literal)}", refused=False)


def _is_unlisted(field: Field, literal: object) -> bool:
    return isinstance(literal, str) and bool(values.listed(field)) and literal not in values.listed(field)
