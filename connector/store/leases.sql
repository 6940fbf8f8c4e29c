-- name: take
-- Give the due lease to the first worker that asks; it is due again in so many seconds.
insert into leases as d (name, next_at) values (%(name)s, now() + %(seconds)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at
    where d.next_at <= now() or d.next_at > excluded.next_at + interval '1 hour'  -- the clock was set back
returning name

-- name: put_off
-- Make the lease due in so many seconds, whether that is sooner or later than before.
insert into leases as d (name, next_at) values (%(name)s, now() + %(seconds)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at

-- name: alive
-- Record a worker's heartbeat once in an interval, and forget workers that have been silent for a day.
with gone as (
    delete from leases where name in (
        select name from leases where name like 'alive:%%' and name <> %(name)s and next_at < now() - interval '1 day'
        for update skip locked)
)
insert into leases as d (name, next_at) values (%(name)s, now() + %(every)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at, cursor = null
    where d.next_at <= now() or d.next_at > excluded.next_at + interval '1 hour' or d.cursor is not null

-- name: signed_off
-- A worker has stopped cleanly: it is not taken for running any longer.
update leases set cursor = now() where name = %(name)s

-- name: heard
-- When any worker was last heard of, and whether one that has not signed off was heard of recently enough.
with w as (
    select coalesce(cursor, next_at - %(every)s * interval '1 second') as at,
           cursor is null and next_at > now() + (%(every)s - %(silent)s) * interval '1 second' as lately
    from leases where name = %(name)s or name like %(name)s || ':%%'
)
select max(at) as at, extract(epoch from now() - max(at))::float8 as ago, coalesce(bool_or(lately), false) as lately from w

-- name: cursor
-- The task's progress, locked until the caller's transaction ends.
select cursor from leases where name = %(name)s for update

-- name: move_cursor
-- Move the task's progress, unless another worker has moved it.
update leases set cursor = %(to)s where name = %(name)s and cursor is not distinct from %(from)s::timestamptz returning name
