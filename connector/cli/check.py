"""connector check: explain settings and mappings, and test them against the database, CCAI Platform and the CRMs.

Sends nothing and creates nothing.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum

import click

from connector import bootstrap, crms, environment, harmless, preflight
from connector.ccaip import chats, client
from connector.ccaip.client import Account
from connector.cli import chat_sources, whereabouts
from connector.cli.run import web_needs
from connector.errors import BadMapping, BadSettings, CallFailed, Problems, Refused, Unavailable
from connector.mapping.rules import Mapping as TicketMapping
from connector.oidc import settings as oidc_settings
from connector.settings import Settings, load_with_defaults
from connector.store import chat_events, postgres


class Mark(StrEnum):
    """The result printed before a line."""

    FINE = "ok"
    WRONG = "WRONG"
    WARNING = "warning"
    NEITHER = "--"
    NONE = ""


Line = tuple[str, Mark]


@click.command()
@click.option("--offline", is_flag=True, help="Check settings and mapping files only, without any connection.")
def check(offline: bool) -> None:
    """Show the mappings in words, and check settings, database, CCAI Platform and CRMs. Sends nothing.

    Status 1 if something is wrong.
    """
    marks = set()
    for line, mark in findings(web_needs, offline):
        click.echo(harmless.on_screen(f"{mark}  {line}" if mark else line))
        marks.add(mark)
    sys.exit(1 if Mark.WRONG in marks else 0)


def findings(web: preflight.Need, offline: bool) -> Iterator[Line]:
    """Every line of the check, as it becomes known.

    `web` checks the settings as a web process does. `offline` makes no network calls.
    """
    problems = Problems()
    settings = load_with_defaults(problems)
    with contextlib.suppress(BadSettings):  # reported with the problems below
        yield whereabouts.said(settings), Mark.NONE
    found = preflight.find_problems(settings, preflight.worker, web)
    mappings = _mappings(settings)
    for crm_name, mapping in mappings.items():
        yield from ((line, Mark.NONE) for line in in_words(crm_name, mapping))
    yield from ((line, Mark.WARNING) for line in (*found.warnings, *environment.exposed()))
    problems.add(found.problems)
    yield from ((line, Mark.WRONG) for line in problems)
    if not problems:
        yield "settings and mapping files are complete", Mark.FINE
    if not offline:
        database = _database(settings)
        yield from (one for one in [database] if one[0] not in problems)
        if database[1] is not Mark.WRONG:
            yield from _chat_events(settings)
        yield from remote(settings, mappings)
        yield from _identity_provider(settings)


def _mappings(settings: Settings) -> Mapping[str, TicketMapping]:
    """The mappings; empty when they cannot be used, which preflight reports."""
    try:
        return bootstrap.mappings(settings)
    except (BadSettings, BadMapping):
        return {}


def _database(settings: Settings) -> Line:
    try:
        return postgres.check(settings), Mark.FINE if settings.database_url else Mark.NEITHER
    except BadSettings as error:
        return str(error), Mark.WRONG


def _chat_events(settings: Settings) -> Iterator[Line]:
    """Name the source of chat events. When the last one arrived is known where the database is running by itself."""
    url = settings.database_url.get_secret_value() if settings.database_url else None
    for remark in chat_sources.remarks(settings, postgres.ask(url, chat_events.summary) if url else None):
        yield remark.words, Mark.WARNING if remark.attention else Mark.FINE


def in_words(crm_name: str, mapping: TicketMapping) -> Iterator[str]:
    """Describe a mapping for a reader who did not write it."""
    file = mapping.file
    path = file.fields
    yield f"{crm_name}: texts about a {file.ticket.object}, ticket_id is {path[file.ticket.id]}"
    phones = ", else ".join(path[name] for name in file.phones.prefer)
    known = f", country from {path[file.phones.country_from]}" if file.phones.country_from else ""
    yield f"  to {phones}{known}, else {file.phones.country}; allowed: {', '.join(mapping.countries)}"
    for rule in file.rules:
        yield f"  rule {rule.name}: when {rule.when.source}"
        yield f"    once per {', '.join(path[name] for name in rule.once_per)}"
        for why, condition in file.guards(rule).items():
            yield f"    not when {condition.source}: {why}"
        number = rule.outbound_number or file.outbound_number or mapping.outbound_number
        yield f"    from {number or 'CONNECTOR_CCAIP_OUTBOUND_NUMBER'}: {rule.message.source}"
    if file.languages:
        yield f"  languages {', '.join(file.offered_languages)}, by {file.languages.of.source}"
        yield f"    else {file.languages.fallback}"
    yield from (f"  {line}" for line in _policy_in_words(mapping))
    for table, _, templates in file.write_back.templates():
        written = ", ".join(f'{field} = "{template.source}"' for field, template in templates.items())
        yield f"  {table}: {written}"


def _policy_in_words(mapping: TicketMapping) -> Iterator[str]:
    keys, path = mapping.file.policy, mapping.file.fields
    without = f" (but not in this trial: {', '.join(sorted(mapping.without))})" if mapping.without else ""
    yield f"policy: one text to a number in {keys.window_hours:g} hours, at most {keys.max_segments} segments{without}"
    yield f"  never to who opted out: {keys.opt_out.source if keys.opt_out else 'the suppression list only'}"
    start, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in keys.hours.open)
    zone = f"{path[keys.zone]}, else by the number" if keys.zone else "by the number"
    days_off = f", not on {', '.join(keys.hours.days_off)}" if keys.hours.days_off else ""
    written = f"; {path[field]} is written" if (field := mapping.file.opt_outs.field) else ""
    extra = ", ".join([*mapping.file.opt_outs.words, *mapping.file.opt_outs.start_words])
    yield f"  opt-outs by text: the connector's words{f' and {extra}' if extra else ''}{written}"
    if invalid := mapping.file.invalid_numbers.field:
        yield f"  numbers that cannot be texted: {path[invalid]} is written"
    yield f"  from {start} to {end} {zone}, else {keys.hours.zone}{days_off}"
    if keys.hours.by_state:
        yield f"  narrower in {', '.join(keys.hours.by_state)}, by {path[keys.state or '']}"
    for number in sorted(mapping.outbound_numbers & mapping.budgets.keys()):
        budget = mapping.budgets[number]
        part = f"back-fills stop at {budget.limit_of(batch=True):,}"
        sender = number or "CONNECTOR_CCAIP_OUTBOUND_NUMBER"
        yield f"  at most {budget.limit:,} {budget.unit} a day from {sender}, by {budget.zone}; {part}"
    yield f"  agents may override: {', '.join(keys.agents_may_override) or 'nothing'}"
    agents = mapping.file.agents
    replies = "; replies go to the agent who asked" if agents.replies_to_agent else ""
    yield f"agents text by rule {agents.rule or mapping.file.rules[0].name}{replies}"


def remote(settings: Settings, mappings: Mapping[str, TicketMapping]) -> Iterator[Line]:
    """Test CCAI Platform and each CRM. One that is not set up is not called."""
    try:
        account = bootstrap.account(settings)
    except BadSettings:
        yield "CCAI Platform is not asked: it is not set up", Mark.NEITHER
    else:
        for number in sorted({number for mapping in mappings.values() for number in mapping.outbound_numbers}):
            yield _probe(account, number)
        if settings.chat_poll_seconds and any(mapping.file.write_back.chat for mapping in mappings.values()):
            yield _probe_list(account)
    for crm_name, mapping in mappings.items():
        try:
            crm = crms.connect(crm_name, mapping.file)
        except BadSettings:
            yield f"{crm_name} is not asked: it is not set up", Mark.NEITHER
            continue
        yield from _ask(crm_name, crm)
        crm.close()


def _identity_provider(settings: Settings) -> Iterator[Line]:
    """Test the identity provider of the console. One that is not set up is not called."""
    from connector.oidc import provider

    try:
        found = provider.configured(settings.public_url)
    except BadSettings:
        yield "the identity provider is not asked: it is not set up", Mark.NEITHER
        return
    if found is None:
        return
    try:
        found.check()
    except CallFailed as error:
        yield str(error), Mark.WRONG
    else:
        back = f"{settings.public_url}{oidc_settings.CALLBACK_PATH}"
        yield f"the identity provider answers, and its metadata fit; register {back} there", Mark.FINE


def _probe(account: Account, number: str) -> Line:
    try:
        client.probe(account, number)
    except Refused as error:
        why = f"{error}; check subdomain, domain, token and outbound number"
        return f"CCAI Platform refuses {number}: {why}", Mark.WRONG
    except CallFailed as error:
        return f"CCAI Platform: {error}", Mark.WRONG
    return f"CCAI Platform answers, takes the credentials, and sends from {number}", Mark.FINE


def _probe_list(account: Account) -> Line:
    try:
        chats.probe(account)
    except Unavailable as error:
        return f"{error}: tickets follow their chats through chat webhooks only, where they arrive", Mark.WARNING
    return "CCAI Platform's list of chats can be read: tickets follow their chats", Mark.FINE


def _ask(crm_name: str, crm: crms.Crm) -> Iterator[Line]:
    try:
        misfits = crm.check()
    except CallFailed as error:
        yield f"{crm_name}: {error}", Mark.WRONG
        return
    for misfit in misfits:
        yield f"{crm_name}: {misfit.words}", Mark.WRONG if misfit.refused else Mark.WARNING
    if not any(misfit.refused for misfit in misfits):
        yield f"{crm_name} answers, and every field of the mapping can be read and written as it says", Mark.FINE
