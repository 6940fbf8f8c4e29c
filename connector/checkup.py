"""Shows what the settings and mappings mean, and asks both remote sides whether they agree. Sends nothing."""

from collections.abc import Iterator

from connector import ccaip, crms, parts
from connector.errors import BadSettings, CallFailed, Refused
from connector.mapping import Mapping
from connector.model import OUTCOMES
from connector.settings import Settings

# A line and how it stands: True is fine, False is wrong, None is neither.
Line = tuple[str, bool | None]


def in_words(stem: str, mapping: Mapping) -> Iterator[Line]:
    """The mapping, so that somebody who did not write it can say whether it is what was meant."""
    file = mapping.file
    path = file.fields
    yield f"{stem}: texts about a {file.ticket.object}, ticket_id is {path[file.ticket.id]}", None
    phones = ", else ".join(path[name] for name in file.phones.prefer)
    known = f", country from {path[file.phones.country_from]}" if file.phones.country_from else ""
    yield f"  to {phones}{known}, else {file.phones.country}; allowed: {', '.join(mapping.countries)}", None
    for rule in file.rules:
        yield f"  rule {rule.name}: when {rule.when.source}", None
        yield f"    once per {', '.join(path[name] for name in rule.once_per)}", None
        for why, condition in rule.skip_when.items():
            yield f"    not when {condition.source}: {why}", None
        number = rule.outbound_number or file.outbound_number or mapping.outbound_number
        yield f"    from {number or 'CONNECTOR_CCAIP_OUTBOUND_NUMBER'}: {rule.message.source}", None
    yield from ((f"  {line}", None) for line in _policy_in_words(mapping))
    for state in OUTCOMES:
        written = ", ".join(f'{field} = "{template.source}"' for field, template in file.write_back.of(state).items())
        yield f"  {state}: {written}", None


def _policy_in_words(mapping: Mapping) -> Iterator[str]:
    keys, path = mapping.file.policy, mapping.file.fields
    without = f" (but not in this trial: {', '.join(sorted(mapping.without))})" if mapping.without else ""
    yield f"policy: one text to a number in {keys.window_hours:g} hours, at most {keys.most_segments} segments{without}"
    yield f"  never to who opted out: {keys.opt_out.source if keys.opt_out else 'the suppression list only'}"
    start, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in keys.hours.open)
    zone = f"{path[keys.zone]}, else by the number" if keys.zone else "by the number"
    days_off = f", not on {', '.join(keys.hours.days_off)}" if keys.hours.days_off else ""
    yield f"  from {start} to {end} {zone}, else {keys.hours.zone}{days_off}"
    if keys.hours.by_state:
        yield f"  narrower in {', '.join(keys.hours.by_state)}, by {path[keys.state or '']}"
    yield f"  agents may override: {', '.join(keys.agents_may_override) or 'nothing'}"
    agents = mapping.file.agents
    replies = "; replies go to the agent who asked" if agents.replies_to_agent else ""
    yield f"agents text by rule {agents.rule or mapping.file.rules[0].name}{replies}"


def remote(settings: Settings) -> Iterator[Line]:
    """Whether CCAI Platform and each CRM answer and agree; what is not set up is said, and not asked."""
    try:
        client = ccaip.Client(parts.account(settings))
    except BadSettings as error:
        yield f"CCAI Platform: not asked, because it is not set up:\n{error}", None
    else:
        found = parts.mappings(settings).values()
        for number in sorted({number for mapping in found for number in mapping.outbound_numbers}):
            yield _probe(client, number)
        client.close()
    for stem, mapping in parts.mappings(settings).items():
        try:
            crm = crms.connect(stem, mapping.file)
        except BadSettings as error:
            yield f"{stem}: not asked, because it is not set up:\n{error}", None
            continue
        yield from _ask(stem, crm)
        crm.close()


def _probe(client: ccaip.Client, number: str) -> Line:
    try:
        client.probe(number)
    except Refused as error:
        return f"CCAI Platform refuses {number}: {error}; check subdomain, domain, token and outbound number", False
    except CallFailed as error:
        return f"CCAI Platform: {error}", False
    return f"CCAI Platform answers, takes the credentials, and sends from {number}", True


def _ask(stem: str, crm: crms.Crm) -> Iterator[Line]:
    try:
        problems = crm.check()
    except CallFailed as error:
        yield f"{stem}: {error}", False
        return
    yield from ((f"{stem}: {problem}", False) for problem in problems)
    if not problems:
        yield f"{stem} answers, and every field of the mapping can be read and written as it says", True
