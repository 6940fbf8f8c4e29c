"""What a worker keeps up besides its jobs: the list of maintenance tasks, and the probes of the accounts."""

from collections.abc import Mapping
from functools import partial

from psycopg_pool import ConnectionPool

from connector import bootstrap
from connector.backfill import feeder, plans
from connector.backfill.feeder import Feeder
from connector.ccaip import client
from connector.ccaip.client import Account
from connector.crms import Crm
from connector.delivery import crm_opt_outs, pause_notes, record_fields, scheduled_numbers
from connector.delivery.backpressure import Backpressure
from connector.delivery.breaker import Breaker
from connector.delivery.chat_write_back import ChatWriteBack
from connector.delivery.pause_notes import PauseNotes
from connector.mapping.rules import Mapping as TicketMapping
from connector.metrics import counters
from connector.settings import Settings
from connector.store import audit, circuit_breaker, crm_usage, mapping_version, opt_outs, retention, roll_ups
from connector.worker import bulk_actions, chat_events, chat_follower, chat_reconciler
from connector.worker.maintenance import Maintenance, MaintenanceTask

# Intervals of the tasks, in seconds.
PLANS_SECONDS, REQUEUE_SECONDS, ROLL_UP_SECONDS, RETENTION_SECONDS, FREE_SECONDS = 10.0, 30.0, 60.0, 3600.0, 86_400.0
# Seconds between requests for the CRM's usage while batches wait, if no other call to the CRM reports it.
USAGE_SECONDS = 300.0


def build(
    settings: Settings,
    account: Account,
    connected: Mapping[str, tuple[Crm, TicketMapping]],
    pool: ConnectionPool,
    backpressure: Backpressure,
    breaker: Breaker,
) -> Maintenance:
    numbers = sorted({number for _, mapping in connected.values() for number in mapping.outbound_numbers})
    alone = {crm_name: crm for crm_name, (crm, _) in connected.items()}
    mappings = {crm_name: mapping for crm_name, (_, mapping) in connected.items()}
    words = bootstrap.opt_out_words(mappings)
    tasks = [
        MaintenanceTask("feed back-fills", feeder.FEED_SECONDS, Feeder(alone, settings.batch_rate, mappings).feed),
        MaintenanceTask("abandoned plans", PLANS_SECONDS, plans.cancel_abandoned),
        chat_events.task(settings.ccaip_customer_senders, words),
        MaintenanceTask("requeue", REQUEUE_SECONDS, retention.requeue),
        MaintenanceTask("free", FREE_SECONDS, retention.free),
        MaintenanceTask(
            "retention", RETENTION_SECONDS, partial(retention.keep, retention_days=settings.retention_days)
        ),
        MaintenanceTask("audit retention", RETENTION_SECONDS, partial(audit.keep, days=settings.audit_retention_days)),
        MaintenanceTask("bulk actions", bulk_actions.POLL_SECONDS, bulk_actions.run),
        MaintenanceTask("roll-ups", ROLL_UP_SECONDS, roll_ups.sum_up),
    ]
    tasks += [
        MaintenanceTask("record fields", record_fields.WRITE_SECONDS, record_fields.writer(connected)),
        MaintenanceTask("CRM opt-outs", crm_opt_outs.FOLLOW_SECONDS, crm_opt_outs.follower(connected)),
        MaintenanceTask("scheduled numbers", scheduled_numbers.LOOK_SECONDS, scheduled_numbers.finder(connected)),
        MaintenanceTask("opt-out reviews", RETENTION_SECONDS, opt_outs.say_overdue),
    ]
    if any(mapping.notifies_holds for _, mapping in connected.values()):
        notes = PauseNotes(connected, backpressure, settings.chat_calls_share)
        tasks.append(MaintenanceTask("pause notes", pause_notes.LOOK_SECONDS, notes.note))
    if settings.unknown_from_chats:
        tasks.append(chat_reconciler.finder(account))
    if any(mapping.file.write_back.chat for _, mapping in connected.values()):
        writer = ChatWriteBack(connected, backpressure, settings.chat_calls_share)
        tasks.append(MaintenanceTask("write chat statuses", settings.chat_write_seconds, writer.write))
        if settings.chat_poll_seconds:
            tasks.append(chat_follower.follower(account, settings.chat_poll_seconds))
    probes = {circuit_breaker.PLATFORM: client.probe_of(account, numbers)} | {
        crm_name: crm.probe for crm_name, crm in alone.items()
    }
    fingerprints = mapping_version.fingerprints(settings.mappings_dir, alone)
    return Maintenance(
        pool,
        backpressure,
        breaker,
        tasks,
        probes,
        fingerprints,
        lambda: _calls_are_short(settings, pool, alone, backpressure),
    )


def _calls_are_short(
    settings: Settings, pool: ConnectionPool, connected: Mapping[str, Crm], backpressure: Backpressure
) -> bool:
    """Whether a CRM has so few of the day's calls left that they are reserved for agents and triggers."""
    newest = USAGE_SECONDS if backpressure.batches_wait else None
    used = {crm_name: share for crm_name, crm in connected.items() if (share := crm.usage(newest)) is not None}
    for crm_name, share in used.items():
        counters.CRM_CALLS_LEFT.labels(crm_name).set(max(1 - share, 0))
    with pool.connection() as connection:
        crm_usage.record(connection, used)
    return any(share >= settings.batch_calls_share for share in used.values())
