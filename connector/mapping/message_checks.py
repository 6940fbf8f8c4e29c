"""Find faults of messages in their languages: each can be rendered, has a fallback, and fits into its segments."""

from collections.abc import Iterator

from connector.expressions import CannotApply, Template, literal
from connector.languages import FixedWords, Messages
from connector.mapping.schema import MappingFile
from connector.policy import segments

EXAMPLE = 'message = { en = "…", es = "…" }'


def find(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for each fault."""
    for key, message in file.messages():
        yield from _languages(file, key, message)
    yield from _languages(file, "policy.brand", file.policy.brand)
    yield from _languages(file, "policy.opt_out_line", file.policy.opt_out_line)
    if file.languages and not any(message.languages for _, message in file.messages()):
        yield "languages", f"is never used: expected a message with languages, such as {EXAMPLE}"
    for key, template in file.message_templates():
        yield from _rendered(file, key, template)


def _languages(file: MappingFile, key: str, message: Messages | FixedWords) -> Iterator[tuple[str, str]]:
    if not message.languages:
        return
    if file.languages is None:
        yield key, "has languages: expected a table [languages] that says which one a customer gets, and the fallback"
    elif file.languages.fallback not in message.languages:
        yield key, f"expected the fallback language too: {file.languages.fallback}"


def _rendered(file: MappingFile, key: str, template: Template) -> Iterator[tuple[str, str]]:
    """Check what is known without a ticket: a text without names, or the fixed parts of one without blocks."""
    if "{%" in template.source:
        return
    try:
        fixed = literal(template) if template.names else template.render({}).strip()
    except CannotApply as error:
        yield key, f"expected a text: {error}"
        return
    if file.policy.replace_typographic:
        fixed = segments.replace_typographic(fixed)
    size = segments.measure(fixed)
    if size.segments > file.policy.max_segments:
        yield (
            key,
            f"takes {size.segments} segments ({size.encoding}) before anything is filled in; "
            f"expected at most policy.max_segments, {file.policy.max_segments}",
        )
