"""Languages of messages: tags such as "es" and "pt-br", and which of the offered ones suits a customer.

Tags are those of BCP 47 (https://www.rfc-editor.org/info/bcp47), in small letters with hyphens.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from connector.expressions import Template

TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
EXPECTED = 'expected a language tag, such as "en", "es" or "pt-br"'
# The key of a message that is written without a language.
PLAIN = ""


def tag(written: str) -> str | None:
    """Return the tag that is meant by "es_MX", "pt-BR" and the like; None: it is no tag."""
    meant = written.strip().replace("_", "-").lower()
    return meant if TAG.fullmatch(meant) else None


def match(wanted: str, offered: Collection[str]) -> str | None:
    """Return the offered tag that suits the wanted one; None: there is none.

    "es-mx" takes "es-mx", else "es". "pt" takes "pt-br" where there is no "pt": the first in the order of the alphabet.
    """
    shorter = wanted
    while shorter:
        if shorter in offered:
            return shorter
        shorter = shorter.rpartition("-")[0]
    return min((one for one in offered if one.startswith(f"{wanted}-")), default=None)


class Messages:
    """One message in its languages. `templates` by tag; a message without a language is in the fallback language."""

    def __init__(self, source: object) -> None:
        """`source`: a text, or texts by language. Raises ValueError with a message for the mapping's author."""
        written = _by_language({PLAIN: source} if isinstance(source, str) else source)
        self.templates = {language: _template(language, text) for language, text in written.items()}
        self.names = frozenset[str]().union(*(template.names for template in self.templates.values()))

    @property
    def source(self) -> str:
        """Return the message for people: as it is written, or each language with its own."""
        return " | ".join(f"{key}: {one.source}" if key else one.source for key, one in self.templates.items())

    @property
    def languages(self) -> frozenset[str]:
        """Return the tags that the message names."""
        return frozenset(self.templates) - {PLAIN}

    def of(self, language: str, fallback: str) -> tuple[str, Template]:
        """Return the template that suits this language, else that of the fallback language, and its tag."""
        offered = {key or fallback: template for key, template in self.templates.items()}
        found = match(language, offered) or fallback
        return found, offered[found]


class FixedWords:
    """Words that are the same for all tickets, in their languages; empty where the file has none."""

    def __init__(self, source: object) -> None:
        """`source`: a text, or texts by language. Raises ValueError with a message for the mapping's author."""
        self.texts = {PLAIN: source} if isinstance(source, str) else _by_language(source)

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self.texts) - {PLAIN}

    def of(self, language: str, fallback: str) -> str:
        """Return the words in this language, else in the fallback language."""
        offered = {key or fallback: text for key, text in self.texts.items()}
        return offered[match(language, offered) or fallback]

    def items(self) -> Iterator[tuple[str, str]]:
        yield from self.texts.items()


def _by_language(source: object) -> Mapping[str, str]:
    """Return the texts by normalized tag. Raises ValueError."""
    if not isinstance(source, dict) or not source:
        raise ValueError("expected text, or a table with a text for each language")
    found: dict[str, str] = {}
    for key, text in source.items():
        language = tag(key) if key else PLAIN
        if language is None:
            raise ValueError(f'"{key}": {EXPECTED}')
        if language in found:
            raise ValueError(f'"{key}": expected each language once')
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{key}: expected text" if key else "expected text")
        found[language] = text
    return found


def _template(language: str, text: str) -> Template:
    try:
        return Template(text)
    except ValueError as error:
        raise ValueError(f"{language}: {error}" if language else str(error)) from None


def called(given: object) -> dict[str, str]:
    """Return tags by the CRM's words for languages, in lower case. Raises ValueError."""
    if not isinstance(given, dict):
        raise ValueError('expected a table such as { Spanish = "es" }')  # noqa: TRY004 - what pydantic reports as a problem of the value
    found: dict[str, str] = {}
    for words, written in given.items():
        meant = tag(written) if isinstance(written, str) else None
        if meant is None:
            raise ValueError(f'"{words}": {EXPECTED}')
        found[words.strip().casefold()] = meant
    return found
