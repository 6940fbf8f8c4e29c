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

-- name: outcomes
-- Outcomes that their tickets do not have yet, those of them that the CRM refuses, and the age of the oldest.
select m.crm, coalesce(w.outcomes, 0)::float8, coalesce(w.refused, 0)::float8, greatest(coalesce(w.age, 0), 0)::float8
from mapping_versions m left join (
    select crm, count(*) as outcomes, count(*) filter (where write_refused is not null) as refused,
           max(extract(epoch from now() - changed_at)) as age
    from texts where outcome > written group by crm
) w on w.crm = m.crm

-- name: record_fields
-- Checkboxes in the CRM that are still to be written, and those of them that the CRM refuses.
select k.kind, count(f.kind)::float8, (count(f.kind) filter (where f.refused is not null))::float8
from unnest(array['opt_out', 'phone_invalid']) as k (kind)
left join record_fields f on f.kind = k.kind and f.version > f.written group by k.kind

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

-- name: workers
-- Workers that were heard of lately and have not signed off, and the age of the newest heartbeat; no age when there never was one.
select count(*) filter (where cursor is null and next_at > now() + (%(every)s - %(silent)s) * interval '1 second')::float8,
       extract(epoch from now() - max(coalesce(cursor, next_at - %(every)s * interval '1 second')))::float8
from leases where name = %(alive)s or starts_with(name, %(alive)s || ':')

-- name: rate
-- How far ahead the slots of the rate limit are taken.
select greatest(coalesce(extract(epoch from max(next_at) - now()), 0), 0)::float8 from sending_state where account = %(platform)s
