"""What must be true in the end, by what customers received and what the cases say; the connector's word is not asked.

Each check gives (case, what is wrong with it).
"""

import json
from collections import Counter
from collections.abc import Iterator

from tests.failure.journal import Entry
from tests.failure.org import CHAT, PHONE, STATUS
from tests.failure.senders import Book
from tests.failure.stand import FINAL, Stand

# Seconds: how long a worker waits for an answer in these runs; how long it may need to commit what it knows, and how
# long after a database is back.
READ_TIMEOUT, COMMITS, COMMITS_AFTER = 5.0, 3.0, 25.0
AWAY = ("read-only", "closed", "sessions ended", "database cut", "database stalled")
NOT_HEARD = ("frozen", "killed", "ended", "sms cut", "sms stalled")

Found = Iterator[tuple[str, str]]


def violations(stand: Stand, book: Book) -> dict[str, list[tuple[str, str]]]:
    """Everything that is not as it must be, by the check that has found it."""
    checks = (once, answered, told_truly, never_texted, taken_back, not_without_a_cause, numbers, plans)
    found = {check.__name__: list(check(stand, book)) for check in checks}
    return {name: wrong for name, wrong in found.items() if wrong}


def once(stand: Stand, _: Book) -> Found:
    """Nobody got two texts for one reason: here, each case is one reason."""
    for case, chats in stand.witness.journal.chats().items():
        if len(chats) > 1:
            yield case, f"was texted {len(chats)} times: {chats}"


def answered(stand: Stand, book: Book) -> Found:
    """Every case whose event was acknowledged says something final."""
    for case in sorted(book.acknowledged):
        if stand.says(case) not in FINAL:
            yield case, f"was acknowledged and says {stand.says(case)}"


def told_truly(stand: Stand, book: Book) -> Found:
    """What a case says of its text is what its customer has seen."""
    chats = stand.witness.journal.chats()
    for case in sorted(book.cases | chats.keys()):
        says, got = stand.says(case), chats.get(case, [])
        if says == "Sent" and stand.witness.org.case(case)[CHAT] not in map(str, got):
            yield case, f"says Sent and names chat {stand.witness.org.case(case)[CHAT]}; its customer has {got}"
        if says in ("Failed", "Skipped") and got and not _said_before(stand, case, got[-1]):
            yield case, f"says {says}, and its customer got a text: {got}"
        if says == "Unknown" and not _may_be_unknown(stand, case, book.acknowledged.get(case, 0.0)):
            yield case, "says Unknown, although a worker that lived on knows what became of it"


def _said_before(stand: Stand, case: str, chat: int) -> bool:
    """Whether another text of the case has told of this chat."""
    writes = [entry.request.fields[case] for entry in stand.witness.journal.of("crm", "write", case)]
    return any(fields.get(STATUS) == "Sent" and fields.get(CHAT) == str(chat) for fields in writes)


def _may_be_unknown(stand: Stand, case: str, since: float) -> bool:
    """Whether anything has happened that keeps a connector from knowing what became of this text.

    A text that never reached the platform is known not to have left, unless who claimed it has died.
    """
    calls = stand.witness.journal.of("sms", "text", case)
    accepted = [call for call in calls if call.chat is not None]
    if accepted:
        return _excused(stand, accepted[-1])
    died = any(one.what in ("killed", "ended") and one.end >= since for one in stand.disturbances)
    met = any(not call.clear or _excused(stand, call) for call in calls)
    lost = any(one.what in ("sms cut", "sms stalled") and one.end >= since for one in stand.disturbances)
    return died or met or lost


def _excused(stand: Stand, call: Entry) -> bool:
    """Whether this answer need not have been heard, or need not have been kept."""
    if not call.clear or call.answered is None or call.answered - call.received > READ_TIMEOUT - 0.5:
        return True
    done, via = stand.disturbances, call.request.via
    if done.met(call.received - 1, call.answered + 1, via, *NOT_HEARD):
        return True
    end, longer = call.answered, call.answered + COMMITS
    while longer > end:
        end = longer
        longer = max([end, *(one.end + COMMITS_AFTER for one in done.met(call.answered, end, via, *AWAY, "frozen"))])
    return bool(done.met(call.answered, end, via, "killed", "ended"))


def never_texted(stand: Stand, book: Book) -> Found:
    """Nobody is texted who opted out, whose case is closed or who has no number."""
    for case in sorted(book.never & stand.witness.journal.chats().keys()):
        yield case, "must never be texted, and was"


def taken_back(stand: Stand, book: Book) -> Found:
    """A text that was taken back in time did not leave."""
    for case in sorted(book.cancelled & stand.witness.journal.chats().keys()):
        yield case, "was taken back, and texted"


def not_without_a_cause(stand: Stand, book: Book) -> Found:
    """A case is turned away for its own sake only: not for what all would have met."""
    skipped = book.never | book.same_number | book.cancelled
    for case in sorted(book.cases):
        calls, says = stand.witness.journal.of("sms", "text", case), stand.says(case)
        refused = any(call.refused for call in calls) or case in book.not_sent or case in book.clicked
        if (says == "Failed" and not refused) or (says == "Skipped" and case not in skipped):
            yield case, f"says {says} without a cause: {stand.witness.org.case(case)}"


def numbers(stand: Stand, _: Book) -> Found:
    """A number is texted once in its window, and it is the case's."""
    texts = stand.witness.journal.texts()
    counted = Counter(entry.request.number for entry in texts)
    for entry in texts:
        case = entry.request.tickets[0]
        if counted[entry.request.number] > 1:
            yield case, f"its number was texted {counted[entry.request.number]} times"
        if entry.request.number != stand.witness.org.case(case)[PHONE]:
            yield case, "another number was texted"


def plans(stand: Stand, book: Book) -> Found:
    """Each case of a back-fill was texted, or its report says why not, and that is so."""
    chats = stand.witness.journal.chats()
    for plan, cases in book.plans.items():
        shown = stand.run("backfill", "report", plan, "--json", "-").stdout
        report = {line["ticket_id"]: line for line in map(json.loads, filter(None, shown.splitlines()))}
        for case in cases:
            line = report.get(case, {})
            state, texted = line.get("state"), case in chats
            if not texted and case not in book.never and state not in ("failed", "unknown"):
                yield case, f"was in back-fill {plan} and not texted: {line}"
            if case not in book.acknowledged and state != "unknown" and (state == "sent") is not texted:
                yield case, f"its back-fill says {state}, its customer has {chats.get(case)}"


def story(stand: Stand, case: str) -> str:
    """All that is known about a case."""
    lines = [entry.line(case) for entry in stand.witness.journal.of(ticket=case)]
    return "\n".join([*lines, *stand.database.story(case)])
