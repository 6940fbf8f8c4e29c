-- name: waiting
-- Texts that are not sent yet, by state and channel, and how long the longest of them has been due. Held: they wait
-- for a later time. The search uses the indexes of open and of claimed texts, not the whole table.
with w as (
    select case when not_before > now() then 'held' else state end as state, channel, count(*) as texts,
           max(extract(epoch from now() - greatest(changed_at, not_before))) as due_for
    from texts where state in ('received', 'queued') group by 1, 2
    union all
    select state, channel, count(*), max(extract(epoch from now() - changed_at))
    from texts where state = 'sending' group by 1, 2
)
select s.state, c.channel, coalesce(w.texts, 0)::float8, greatest(coalesce(w.due_for, 0), 0)::float8
from unnest(array['received', 'queued', 'held', 'sending']) as s (state)
cross join unnest(array['agent', 'trigger', 'batch']) as c (channel)
left join w on w.state = s.state and w.channel = c.channel

-- name: unknown
-- Texts whose outcome is unknown, and the age of the oldest.
select count(*)::float8, coalesce(max(extract(epoch from now() - changed_at)), 0)::float8 from texts where state = 'unknown'

-- name: settled
-- The quantiles of the time from becoming unknown to being settled.
select q::text, extract(epoch from percentile_disc(q) within group (order by took))::float8
from unnest(array[0.5, 0.9, 1]) as q cross join {settlements} group by q order by q

-- name: settled_count
select count(*)::float8 from {settlements}

-- name: outcomes
-- Outcomes that their tickets do not have yet, those of them that the CRM refuses, and the age of the oldest.
select m.crm, coalesce(w.outcomes, 0)::float8, coalesce(w.refused, 0)::float8, greatest(coalesce(w.age, 0), 0)::float8
from mapping_versions m left join (
    select crm, count(*) as outcomes, count(*) filter (where write_refused is not null) as refused,
           max(extract(epoch from now() - changed_at)) as age
    from texts where outcome > written group by crm
) w on w.crm = m.crm

-- name: refused_fields
-- Tickets whose opt-out field, mark of an invalid number or chat status is to be written, and that the CRM refuses.
select m.crm, f.field, coalesce(w.tickets, 0)::float8
from mapping_versions m cross join unnest(array['opt_out', 'phone_invalid', 'chat_status']) as f (field) left join (
    select crm, kind as field, count(*) as tickets from record_fields
    where version > written and refused is not null group by crm, kind
    union all
    select of.crm, 'chat_status', count(*) from chat_updates
    cross join lateral (select crm from texts where id = chat_updates.text limit 1) of  -- one index lookup for each
    where chat_updates.due_at is not null and chat_updates.refused is not null group by of.crm
) w on w.crm = m.crm and w.field = f.field

-- name: breakers
-- The state of each account's circuit breaker: 1 for the state that it is in.
select a.account, s.state, (s.state = case
    when p.tripped_why is not null and p.manual_resume then 'waits_for_person'
    when p.tripped_why is not null then 'tripped'
    when p.paused_until > now() then 'paused'
    else 'closed' end)::int::float8
from (select %(platform)s as account union select crm from mapping_versions) a
left join sending_state p on p.account = a.account
cross join unnest(array['closed', 'paused', 'tripped', 'waits_for_person']) as s (state)

-- name: operator_pauses
-- Pauses by operators that are in force.
select s.scope, count(p.scope)::float8 from unnest(array['all', 'account', 'channel', 'rule']) as s (scope)
left join operator_pauses p on p.scope = s.scope and (p.ends_at is null or p.ends_at > now()) group by s.scope

-- name: opt_outs
-- Entries of the suppression list, by their source.
select s.source, count(e.number)::float8 from unnest(array['person', 'word', 'platform', 'crm']) as s (source)
left join suppressions e on e.source = s.source group by s.source

-- name: opt_out_reviews
-- Undecided messages, and those that are overdue.
select count(*)::float8, (count(*) filter (where due_at < now()))::float8 from opt_out_reviews where decided_at is null

-- name: chat_sources
-- How long ago each source of chat events last delivered one.
select 'webhook', extract(epoch from now() - max(received_at))::float8 from chat_events
union all
select 'list', extract(epoch from now() - max(seen_at))::float8 from chats where source = 'list'

-- name: workers
-- Workers that were heard of lately and have not signed off, and the age of the newest heartbeat; no age when there never was one.
select count(*) filter (where cursor is null and next_at > now() + (%(every)s - %(silent)s) * interval '1 second')::float8,
       extract(epoch from now() - max(coalesce(cursor, next_at - %(every)s * interval '1 second')))::float8
from leases where name = %(alive)s or starts_with(name, %(alive)s || ':')

-- name: rate
-- How far ahead the slots of the rate limit are taken.
select greatest(coalesce(extract(epoch from max(next_at) - now()), 0), 0)::float8 from sending_state where account = %(platform)s
