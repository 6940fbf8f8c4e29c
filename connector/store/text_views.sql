-- name: unknown
-- Texts whose outcome is unknown, with the time of the call, oldest first.
select texts.id, texts.crm, texts.ticket_id, texts.sms ->> 'outbound_number' as outbound_number,
       -- a text that waited when the database was restored may have been called at any time since its last step
       case when texts.restored_at is null
            then (select max(at) from history where history.text = texts.id and to_state = 'sending')
            else coalesce((select max(at) from history where history.text = texts.id and at <= texts.restored_at),
                          texts.received_at) end as called_at,
       texts.changed_at as given_up_at
from texts where state = 'unknown' and changed_at > %(since)s
order by changed_at

-- name: known_chats
-- Those of these chats that belong to a text.
select (chat ->> 'id')::bigint from texts where chat ->> 'id' = any(%(chats)s)

-- part: as_seen
-- Texts as shown to the agents and API clients that requested them.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.why, texts.code, texts.sms, texts.request, texts.trace, {present_chat},
       texts.outcome, texts.written, texts.write_refused, texts.changed_at, events.received_at,
       -- a text that sent nothing is written back once this other text is settled
       case when texts.outcome > texts.written and texts.state in ('failed', 'skipped', 'cancelled') then (
           select min(other.id) from texts other
           where other.crm = texts.crm and other.ticket_id = texts.ticket_id and other.id <> texts.id
               and coalesce(texts.same_as, other.id) = other.id
               and ({under_way}
                    or texts.same_as is null and other.state = 'unknown' and texts.channel <> 'trigger')) end as notified_after,
       case when texts.state in ('received', 'queued') and texts.not_before > now() then texts.not_before end as leaves_at
from texts join events on events.id = texts.event

-- name: seen
-- One text in this form.
{as_seen}
where texts.id = %(id)s

-- name: seen_of_ticket
-- All texts of a ticket in this form, newest first.
{as_seen}
where texts.crm = %(crm)s and texts.ticket_id = %(ticket)s
order by texts.id desc limit %(most)s

-- name: counts
-- For each state: the number of texts, from the roll-ups or by an index; of outcomes not written back; and of texts
-- queued for later, and when the next of these is sent.
with totals as (
    select step as state, sum(texts)::bigint as texts
    from (select step, texts from roll_ups union all select step, texts from roll_up_changes) as counted
    where step <> 'written' group by 1 having sum(texts) <> 0
    union all
    select state, count(*) from texts where state in ('received', 'queued') group by 1
    union all
    select state, count(*) from texts where state = 'sending' group by 1
), noted as (
    select state, count(*) filter (where outcome > written) as not_written,
           count(*) filter (where outcome > written and write_refused is not null) as refused,
           count(*) filter (where state in ('received', 'queued') and not_before > now()) as held,
           min(not_before) filter (where state in ('received', 'queued') and not_before > now()) as leaves_at
    from texts where state in ('received', 'queued') or outcome > written group by 1
), wrong as (
    select state, count(*) as contradicted from texts where contradicted is not null group by 1
)
select state, texts, coalesce(not_written, 0) as not_written, coalesce(refused, 0) as refused,
       coalesce(contradicted, 0) as contradicted, coalesce(held, 0) as held, leaves_at
from totals left join noted using (state) left join wrong using (state) order by state

-- name: story
-- One text and its event, for display.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.rule, texts.sms, {present_chat}, texts.why,
       texts.outcome, texts.written, texts.write_refused, texts.contradicted, events.event_id, events.received_at, texts.changed_at, texts.trace,
       coalesce(texts.request ->> 'agent_name', texts.request ->> 'agent_email') as agent, texts.request ->> 'override' as override,
       (texts.request ->> 'send_at')::timestamptz as send_at, texts.request ->> 'reason_name' as reason,
       case when texts.state in ('received', 'queued') and texts.not_before > now() then texts.not_before end as leaves_at
from texts join events on events.id = texts.event where texts.id = %(id)s

-- name: history
-- Every transition of one text, oldest first.
select at, from_state, to_state, why from history where text = %(id)s order by at
