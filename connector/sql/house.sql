-- name: erase_events
-- What came in, but for the keys against duplicates; some rows at a time, so that nobody waits for the locks.
update event set body = null, raw = null, changed_by = null
where id in (
    select id from event
    where (body is not null or raw is not null) and received_at < now() - %(days)s * interval '1 day'
      and not exists (select from text where text.event = event.id and state in ('received', 'queued', 'sending'))
    limit %(most)s for update skip locked)

-- name: erase_texts
-- Numbers and messages of texts that are over and told; what is unknown stays for a person.
with old as (
    select id from text
    where (sms is not null or ask is not null) and changed_at < now() - %(days)s * interval '1 day'
      and state in ('sent', 'skipped', 'failed', 'cancelled') and outcome <= written
    limit %(most)s for update skip locked
), steps as (
    delete from history using old where history.text = old.id
)
update text set sms = null, ask = null, trace = null, why = '' from old where text.id = old.id

-- name: erase_queue_log
-- What the queue noted of its jobs.
delete from pgqueuer_log where id in (
    select id from pgqueuer_log where created < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_idempotency
-- Which key was which text: nobody repeats a request that long.
delete from idempotency where (caller, key) in (
    select caller, key from idempotency where at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_used_links
-- Links that could open nothing any more anyway.
delete from used_link where id in (
    select id from used_link where expires_at < now() - %(days)s * interval '1 day' limit %(most)s)

-- name: erase_plans
-- Back-fills that are over or were left lying, with their cases.
delete from plan where id in (
    select id from plan where changed_at < now() - %(days)s * interval '1 day'
      and state not in ('canary', 'cooling', 'running') limit %(most)s)

-- name: requeue
-- Jobs that the queue gave up. None may be: a text hangs on it.
update pgqueuer set status = 'queued', execute_after = now(), queue_manager_id = null where status = 'failed'

-- name: of_phone
-- The texts to one number, the tickets that they were about, and what came in for those tickets.
select id, ticket_id, state from text where sms ->> 'end_user_number' = %(number)s

-- name: cancel
-- What was not sent yet will not be.
with c as (
    select id, state as from_state from text where id = any(%(ids)s) and state in ('received', 'queued') for update
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, 'cancelled', 'erased' from c
)
update text set state = 'cancelled', why = 'erased', outcome = outcome + 1, changed_at = now() from c
where text.id = c.id
returning text.id, text.door

-- name: forget_texts
-- Number, message and the words of the remote side.
with steps as (
    update history set why = '' where text = any(%(ids)s) and why <> ''
)
update text set sms = null, ask = null, trace = null, why = case when state = 'cancelled' then why else '' end where id = any(%(ids)s)

-- name: forget_events
-- Everything that came in about these tickets, and everything that holds the number, however it is written.
update event set body = null, raw = null, changed_by = null
where (body is not null or raw is not null) and (
    ticket_id = any(%(tickets)s)
    or regexp_replace(coalesce(body::text, encode(raw, 'escape')), '[^0-9]', '', 'g') like '%%' || %(digits)s || '%%')
