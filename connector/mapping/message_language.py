"""Choose the language of a message: the one asked for, else the ticket's, else the mapping's fallback. Pure."""

from connector import languages
from connector.expressions import CannotApply
from connector.languages import Messages
from connector.mapping.schema import MappingFile
from connector.model import LanguageChoice, Ticket


def choose(file: MappingFile, ticket: Ticket, asked: str | None) -> LanguageChoice:
    """Return the language of a text, and why. Without languages in the file, it is empty. Raises CannotApply."""
    keys = file.languages
    if asked is not None:
        found = offered(asked, file.offered_languages)
        if found is None:
            raise CannotApply(f"the mapping has no language {asked}")
        return LanguageChoice(found, "as it was asked for")
    if keys is None:
        return LanguageChoice()
    said = str(keys.of.search(ticket.values) or "").strip()
    wanted = keys.called.get(said.casefold()) or languages.tag(said)
    if not said:
        return LanguageChoice(keys.fallback, "the ticket names no language")
    if wanted is None:
        return LanguageChoice(keys.fallback, "the ticket names a language that [languages] does not know")
    found = languages.match(wanted, file.offered_languages)
    if found is None:
        return LanguageChoice(keys.fallback, f"the mapping has no message in {wanted}, the ticket's language")
    return LanguageChoice(found, f"the ticket's language is {wanted}")


def render(
    file: MappingFile, messages: Messages, ticket: Ticket, choice: LanguageChoice, asked: str | None = None
) -> tuple[str, LanguageChoice]:
    """Return the message in the chosen language, else in the fallback language, and the language that it has.

    Raises CannotApply, also where the message is not in the language that was asked for.
    """
    language, template = messages.of(choice.language, file.fallback_language)
    if language != choice.language and languages.match(choice.language, [language]) is None:
        if asked is not None:
            raise CannotApply(f"the message is not in {choice.language}")
        choice = LanguageChoice(language, f"{choice.why}; this message is not in {choice.language}")
    return template.render(ticket.values).strip(), LanguageChoice(language, choice.why)


def offered(asked: str, known: tuple[str, ...]) -> str | None:
    """Return the known language that is meant by the one asked for, in any spelling; None: there is none."""
    meant = languages.tag(asked)
    return languages.match(meant, known) if meant else None
