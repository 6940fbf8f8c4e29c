"""Decide who must not be texted. Pure: the same answer for every channel, with a trace of all findings.

Each check says ok, warn, stop, hold (not before a time) or overridden. A stop decides before a hold. What only a person
may decide is a stop for an agent, and is held or skipped on the other channels.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from connector import merge_syntax
from connector.model import Channel, Decision, State
from connector.policy import link_shorteners, quiet_hours, segments, wording
from connector.policy.config import PolicyKeys
from connector.policy.daily_budget import NOTHING, Budgets, Use
from connector.policy.findings import Finding, Ruling, Said
from connector.policy.opt_outs import REVIEW_POLL, OpenReview, OptOut
from connector.policy.quiet_hours import Open

Without = Literal["hours", "window"]
# What an agent's text waits for, too: no reason of an agent's makes room in a carrier's limit.
AGENTS_WAIT = "budget"


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a number and a reason, from texts other than this one. Times are in UTC.

    `other_number`: the number differs from the one that the text was planned for. `texted_at` None: it was never
    texted. `sent_today`: from the outbound number, if that has a daily budget.
    """

    suppressed: OptOut | None = None
    review: OpenReview | None = None
    other_number: bool = False
    texted_by: int | None = None
    texted_at: datetime | None = None
    same_reason: int | None = None
    same_reason_state: State | None = None
    same_reason_notified: bool = False
    sent_today: Use = NOTHING


@dataclass(frozen=True, slots=True)
class Policy:
    """The `[policy]` of a mapping file. `without`: the checks that a trial on this machine leaves out.

    `fallback_language`: the language of words that name none. `budgets`: the daily budgets
    of all outbound numbers, from all mapping files.
    """

    keys: PolicyKeys
    without: frozenset[Without] = frozenset()
    fallback_language: str = ""
    budgets: Budgets = field(default_factory=dict)

    def window(self, decision: Decision) -> timedelta:
        """Return how long after one text the number gets no other."""
        if "window" in self.without:
            return timedelta(0)
        own = decision.window_hours
        return timedelta(hours=self.keys.window_hours if own is None else own)

    def allow(
        self,
        decision: Decision,
        known: Known,
        channel: Channel,
        override: str,
        now: datetime,
        overrides: Collection[str] | None = None,
    ) -> Ruling:
        """Decide whether this may be texted now (UTC), and with which words.

        `override`: an agent's reason for sending anyway, given for the findings with these ids (None: for any).
        """
        language, first = decision.language.language, known.texted_at is None
        message = wording.as_sent(self.keys, decision.sms.message, language, self.fallback_language, first)
        sms = replace(decision.sms, message=message)
        size = segments.measure(sms.message)
        findings = [
            *self._planned(known),
            *self._in_language(decision),
            self._opted_out(decision, known, now),
            self._same_reason(known),
            self._in_window(decision, known, now),
            self._in_hours(decision, now),
            *self._in_budget(decision, known, size, channel is Channel.BATCH, now),
            self._content(sms.message, size),
            *self._unfilled(sms.message, channel),
        ]
        judged = tuple(self._for(channel, finding, override, overrides) for finding in findings)
        return Ruling(sms, size, judged, known.same_reason, known.same_reason_notified)

    def _for(self, channel: Channel, finding: Finding, override: str, overrides: Collection[str] | None) -> Finding:
        """Apply a finding to this channel: an agent may override some, and waits for AGENTS_WAIT only."""
        if finding.said not in (Said.STOP, Said.HOLD) or channel is not Channel.AGENT or finding.check == AGENTS_WAIT:
            return finding
        may = finding.overridable or finding.check in self.keys.agents_may_override
        if may and override and (overrides is None or finding.id in overrides):
            why = f"{finding.why}; overridden: {override}"
            return replace(finding, said=Said.OVERRIDDEN, why=why, overridable=True, until=None)
        return replace(finding, said=Said.STOP, overridable=may, until=None)

    def _planned(self, known: Known) -> Iterator[Finding]:
        if known.other_number:
            yield Finding("plan", Said.STOP, "the customer's number has changed since the plan")

    def _in_language(self, decision: Decision) -> Iterator[Finding]:
        if decision.language.language:
            yield Finding("language", Said.OK, f"in {decision.language.language}: {decision.language.why}")

    def _opted_out(self, decision: Decision, known: Known, now: datetime) -> Finding:
        if known.suppressed:
            return Finding("opt_out", Said.STOP, known.suppressed.why)
        if decision.recipient.opted_out:
            return Finding("opt_out", Said.STOP, "the customer has opted out, as the ticket says")
        if known.review:
            return Finding("opt_out", Said.HOLD, known.review.why, until=now + REVIEW_POLL)
        return Finding("opt_out", Said.OK, "not opted out, as far as the ticket and the suppression list know")

    def _same_reason(self, known: Known) -> Finding:
        if known.same_reason is None:
            return Finding("reason", Said.OK, "no other text is for this reason")
        by = f"text {known.same_reason} ({known.same_reason_state})"
        about = f"{known.same_reason}:{known.same_reason_state}"
        return Finding("reason", Said.STOP, f"{by} is for the same reason", about=about)

    def _in_window(self, decision: Decision, known: Known, now: datetime) -> Finding:
        window = self.window(decision)
        if known.texted_at is None:
            return Finding("window", Said.OK, "the number has not been texted before")
        ago = f"text {known.texted_by} went to this number at {known.texted_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if now - known.texted_at >= window:
            return Finding("window", Said.OK, ago)
        hours_long = f"{window.total_seconds() / 3600:g} hours"
        why = f"{ago}; there is one text to a number in {hours_long}"
        return Finding("window", Said.STOP, why, about=str(known.texted_by))

    def _in_hours(self, decision: Decision, now: datetime) -> Finding:
        if "hours" in self.without:
            return Finding("hours", Said.OK, "not looked at in this trial")
        recipient = decision.recipient
        found = quiet_hours.check_hours(
            decision.sms.end_user_number, recipient.zone, recipient.state, now, self.keys.hours
        )
        if isinstance(found, Open):
            return Finding("hours", Said.OK, found.why)
        if found.until is None:
            return Finding("hours", Said.STOP, f"{found.why}; there is no time at which it may be sent")
        return Finding("hours", Said.HOLD, found.why, until=found.until, zone=found.zone)

    def _in_budget(
        self, decision: Decision, known: Known, size: segments.Size, batch: bool, now: datetime
    ) -> Iterator[Finding]:
        """Hold the text until the next day where the budget of its outbound number is used up."""
        number = decision.sms.outbound_number
        budget = self.budgets.get(number)
        if budget is None:
            return
        if budget.fits(known.sent_today, size.segments, batch):
            used = f"{budget.used(known.sent_today):,} of {budget.limit:,} {budget.unit} of the day are used"
            yield Finding("budget", Said.OK, f"{used} for the outbound number")
            return
        until, zone = self._first_open(decision, budget.next_day(now), budget.zone)
        leaves = f"{until.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"
        why = f"{budget.in_words(number, batch)} is used up; the text can leave from {leaves}"
        yield Finding("budget", Said.HOLD, why, until=until, zone=zone)

    def _first_open(self, decision: Decision, day_begins: datetime, zone: str) -> tuple[datetime, str]:
        """Return when the recipient may be texted on a new day, and the zone of that time: nobody is at midnight."""
        if "hours" in self.without:
            return day_begins, zone
        recipient, number = decision.recipient, decision.sms.end_user_number
        found = quiet_hours.check_hours(number, recipient.zone, recipient.state, day_begins, self.keys.hours)
        return (day_begins, zone) if isinstance(found, Open) or found.until is None else (found.until, found.zone)

    def _content(self, message: str, size: segments.Size) -> Finding:
        if not message:
            return Finding("content", Said.STOP, "the message is empty")
        counted = f"{size.segments} {'segment' if size.segments == 1 else 'segments'} ({size.encoding})"
        if size.segments > self.keys.max_segments:
            return Finding("content", Said.STOP, f"the message takes {counted}; allowed: {self.keys.max_segments}")
        if shortener := link_shorteners.find(message):
            return Finding("content", Said.STOP, f"the message holds a public link shortener, {shortener}")
        return Finding("content", Said.OK, counted)

    def _unfilled(self, message: str, channel: Channel) -> Iterator[Finding]:
        """Find a placeholder that is not filled in.

        On the trigger channel it is only a warning: the mapping's own message was checked at start, and only the
        ticket's values are new.
        """
        if found := merge_syntax.form(message):
            why = f"the message holds a placeholder of the form {found}, which nothing fills in"
            yield Finding("placeholder", Said.WARN if channel is Channel.TRIGGER else Said.STOP, why, overridable=True)
