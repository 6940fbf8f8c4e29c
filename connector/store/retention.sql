-- name: erase_events
-- Empty old events, except the keys that detect duplicates; in small batches, to keep locks short.
update events set body = null, raw = null, changed_by = null
where id in (
    select id from events
    where (body is not null or raw is not null) and received_at < now() - %(days)s * interval '1 day'
      and not exists (select from texts where texts.event = events.id and state in ('received', 'queued', 'sending'))
    limit %(most)s for update skip locked)

-- name: erase_texts
-- Empty old texts that have ended and are written back. Unknown texts are kept for an operator.
with old as (
    select id from texts
    where (sms is not null or request is not null
           or why <> '' or trace is not null or accepted is not null or wrote is not null or held is not null or write_refused is not null)
      and changed_at < now() - %(days)s * interval '1 day'
      and state in ('sent', 'skipped', 'failed', 'cancelled') and outcome <= written
    limit %(most)s for update skip locked
), steps as (
    delete from history using old where history.text = old.id
)
update texts set sms = null, number = null, request = null, trace = null, traceparent = null, why = '', contradicted = null, accepted = null, wrote = null,
                held = null, held_wrote = null,
                write_refused = null
from old where texts.id = old.id

-- name: erase_chats
-- Forget old chats, and keep their last status with their texts.
with forgotten as (
    select chat_id, status, ended from chats where seen_at < now() - %(days)s * interval '1 day'
    order by chat_id limit %(most)s for update skip locked
), {forget_chats}

-- name: erase_queue_log
-- Delete old rows of the queue's log.
delete from pgqueuer_log where id in (
    select id from pgqueuer_log where created < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_idempotency
-- Delete old idempotency keys.
delete from idempotency_keys where (caller, key) in (
    select caller, key from idempotency_keys where at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_used_links
-- Delete links that expired long ago.
delete from used_links where id in (
    select id from used_links where expires_at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_use
-- Delete old request counts; a caller may be a person.
delete from api_use where caller in (
    select caller from api_use where minute < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_plans
-- Delete finished and abandoned back-fill plans, with their cases.
delete from plans where id in (
    select id from plans where changed_at < now() - %(days)s * interval '1 day'
      and state not in ('canary', 'cooling', 'running') limit %(most)s)

-- name: erase_opt_out_reviews
-- Delete old reviews that were decided. The suppression list keeps the opt-outs, and keyed hashes stand for the rest.
delete from opt_out_reviews where id in (
    select id from opt_out_reviews where decided_at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_record_fields
-- Delete what is known of fields that the connector has cleared, or that it has only seen as set.
delete from record_fields where (crm, ticket_id, kind) in (
    select crm, ticket_id, kind from record_fields
    where version <= written and due_at < now() - %(days)s * interval '1 day'
      and (not value or before is null and kind = 'phone_invalid') limit %(most)s)

-- name: erase_person_lookups
-- Delete numbers that were looked up long ago.
delete from person_lookups where hash in (
    select hash from person_lookups where at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_chat_events
-- Delete old chat events, processed or not. A signature that old is refused, so their keys are not needed either.
delete from chat_events where id in (
    select id from chat_events where received_at < now() - %(days)s * interval '1 day' limit %(most)s
    for update skip locked)

-- name: erase_bulk_actions
-- Delete old bulk actions that have ended, with their items. The audit trail keeps what was done.
delete from bulk_actions where id in (
    select id from bulk_actions where ended_at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_pauses
-- Delete operators' pauses that ended long ago by themselves.
delete from operator_pauses where (scope, name) in (
    select scope, name from operator_pauses where ends_at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: requeue
-- Queue failed jobs again: a job must never be dropped, because its texts depend on it.
update pgqueuer set status = 'queued', execute_after = now(), queue_manager_id = null where status = 'failed'

-- name: jobs_of_later
-- Jobs added before the database's clock was set back: apply their original delay from now on.
update pgqueuer set execute_after = now() + greatest(execute_after - created, interval '0'), created = now()
where status = 'queued' and created > now() + interval '10 seconds'

-- name: beats_of_later
-- Heartbeats from before the clock was set back: reset to now; live workers renew them.
update pgqueuer set heartbeat = now() where heartbeat > now() + interval '10 seconds'

-- name: texts_of_later
-- Waiting texts from before the clock was set back: apply their original delay from now on. A scheduled text keeps its
-- time.
update texts set
    not_before = case when state = 'received' then not_before
                 else now() + greatest(not_before - changed_at, interval '0') end,
    changed_at = now()
where state in ('received', 'queued') and not_before > now() and changed_at > now() + interval '10 seconds'

-- part: over
-- Texts that ended and were certainly not sent: of the last hours, or all.
select id from texts where state in ('skipped', 'failed', 'cancelled') and changed_at < now() - interval '1 minute'
    and (%(all)s or sms is not null and changed_at > now() - interval '6 hours')

-- name: reasons_of_none
-- Release the reasons that such texts hold.
with over as ({over}) delete from reasons using over where reasons.text = over.id

-- name: numbers_of_none
-- Release the numbers that such texts hold: each goes back to the text that held it before.
with over as ({over}), freed as (
    update recipients set text = before_text, at = before_at, before_text = null
    from over where recipients.text = over.id and before_text is not null
)
delete from recipients using over where recipients.text = over.id and before_text is null

-- name: without_job
-- Texts without a job that have not ended, or that have to be written back or have a write without a clear result.
-- Texts that changed within the last minute are left out.
with listed as materialized (
    select regexp_split_to_table(convert_from(payload, 'utf8'), ',')::bigint as text,
           entrypoint = %(kind)s as tells
    from pgqueuer where encode(payload, 'escape') ~ '^[0-9,]+$'
)
select texts.id, texts.channel, texts.state not in ('received', 'queued') as decided
from texts
where (texts.state in ('received', 'queued') or texts.outcome > texts.written or texts.write_begun > 0)
  and texts.state <> 'sending' and texts.changed_at < now() - interval '1 minute'
  -- These are written back, or overtaken, when the other text ends.
  and not (texts.state in ('failed', 'skipped', 'cancelled') and {another_waits})
  and not exists (select from listed where listed.text = texts.id
                  and listed.tells = (texts.state not in ('received', 'queued')))
order by texts.id limit 1000

-- name: erase_budgets
-- Delete what numbers have sent on past days.
delete from daily_budgets where (number, day) in (
    select number, day from daily_budgets where day < current_date - %(days)s::int limit %(most)s)

-- name: erase_budget_corrections
-- Delete corrections of past days: no claim counts them in any more.
delete from daily_budget_corrections where ctid = any(array(
    select ctid from daily_budget_corrections where day < current_date - %(days)s::int limit %(most)s))
