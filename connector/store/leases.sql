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

-- name: heard
-- When a lease with this interval was last taken, and whether that is recent enough.
select next_at - %(every)s * interval '1 second' as at,
       extract(epoch from now() - next_at + %(every)s * interval '1 second')::float8 as ago,
       next_at > now() + (%(every)s - %(silent)s) * interval '1 second' as lately
from leases where name = %(name)s

-- name: cursor
-- The task's progress, locked until the caller's transaction ends.
select cursor from leases where name = %(name)s for update

-- name: move_cursor
-- Move the task's progress, unless another worker has moved it.
update leases set cursor = %(to)s where name = %(name)s and cursor is not distinct from %(from)s::timestamptz returning name
