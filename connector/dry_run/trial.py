"""The result of trying a mapping: what differs for each text, in groups. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connector.dry_run import differences
from connector.dry_run.differences import CALLED, Difference
from connector.dry_run.verdicts import Verdict
from connector.model import Channel, Text, TextRequest


@dataclass(frozen=True, slots=True)
class Item:
    """A text that is decided, or a ticket without a trigger's text: then `text` is None, and the id negative."""

    id: int
    ticket_id: str
    channel: Channel
    text: Text | None = None

    @property
    def request(self) -> TextRequest | None:
        return self.text.request if self.text else None


class Kind(StrEnum):
    """What the draft changes for a text, in the order of importance."""

    TEXTED = "texted"
    SKIPPED = "skipped"
    RETIMED = "retimed"
    WORDED = "worded"
    ADDRESSED = "addressed"
    SKIPPED_OTHERWISE = "skipped_otherwise"
    SAME = "same"


WORDS = {
    Kind.TEXTED: "texted by the draft only",
    Kind.SKIPPED: "skipped by the draft only",
    Kind.RETIMED: "sent at another time",
    Kind.WORDED: "worded differently",
    Kind.ADDRESSED: "sent by another rule, or to, from or for somebody else",
    Kind.SKIPPED_OTHERWISE: "skipped by both, for different reasons",
    Kind.SAME: "the same by both",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """A text with the decisions of both mappings, and what differs."""

    item: Item
    live: Verdict
    draft: Verdict
    differences: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class Unread:
    """A text that could not be tried, and why: its ticket could not be read."""

    item: Item
    why: str


@dataclass(frozen=True, slots=True)
class Group:
    """Texts for which the draft changes the same. The rules are those that decide; None: none does."""

    kind: Kind
    live_rule: str | None
    draft_rule: str | None
    check: str
    texts: Sequence[Tried]

    @property
    def words(self) -> str:
        """Return the group in words, such as "skipped by the draft only: Quiet hours (rule requested)"."""
        rules = list(dict.fromkeys(rule for rule in (self.live_rule, self.draft_rule) if rule))
        by = f" (rule {' → '.join(rules)})" if rules else ""
        return f"{WORDS[self.kind]}{f': {CALLED.get(self.check, self.check)}' if self.check else ''}{by}"


@dataclass(frozen=True, slots=True)
class Trial:
    """A draft, tried at `at` (UTC). `same`: the texts for which it changes nothing."""

    groups: Sequence[Group]
    same: int
    unread: Sequence[Unread]
    at: datetime

    @property
    def tried(self) -> int:
        return self.same + self.changed

    @property
    def changed(self) -> int:
        return sum(len(group.texts) for group in self.groups)


def compared(decided: Iterable[tuple[Item, Verdict, Verdict]], unread: Sequence[Unread], at: datetime) -> Trial:
    """Compare the decisions of the mapping in use and of the draft about each item."""
    groups: dict[tuple[Kind, str | None, str | None, str], list[Tried]] = {}
    same = 0
    for item, live, draft in decided:
        found = differences.between(live, draft)
        kind = kind_of(live, draft, found)
        if kind is Kind.SAME:
            same += 1
            continue
        key = (kind, live.rule, draft.rule, _check(kind, live, draft))
        groups.setdefault(key, []).append(Tried(item, live, draft, found))
    order = list(Kind)
    listed = [Group(*key, texts) for key, texts in groups.items()]
    return Trial(sorted(listed, key=lambda group: (order.index(group.kind), -len(group.texts))), same, unread, at)


def kind_of(live: Verdict, draft: Verdict, found: Sequence[Difference]) -> Kind:
    """Return what the draft changes for a text, given the differences between both decisions."""
    if live.leaves is not draft.leaves:
        return Kind.TEXTED if draft.leaves else Kind.SKIPPED
    if not live.leaves:
        alike = (live.check, live.why) == (draft.check, draft.why)
        return Kind.SAME if alike else Kind.SKIPPED_OTHERWISE
    if (live.result, live.until) != (draft.result, draft.until):
        return Kind.RETIMED
    if not found:
        return Kind.SAME
    return Kind.WORDED if any(one.part == "message" for one in found) else Kind.ADDRESSED


def _check(kind: Kind, live: Verdict, draft: Verdict) -> str:
    """Return the check that makes the difference, where one does."""
    return live.check if kind is Kind.TEXTED else draft.check if kind is not Kind.WORDED else ""
