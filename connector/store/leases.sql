-- name: take
-- Whoever comes first after the time takes the turn; the next one is due in so many seconds.
insert into leases as d (name, next_at) values (%(name)s, now() + %(seconds)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at
    where d.next_at <= now() or d.next_at > excluded.next_at + interval '1 hour'  -- the clock was set back
returning name

-- name: put_off
-- The next turn is due in so many seconds, whatever was planned.
insert into leases as d (name, next_at) values (%(name)s, now() + %(seconds)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at

-- name: heard
-- When the last turn was taken that is taken every so often; and whether that is not too long ago.
select next_at - %(every)s * interval '1 second' as at,
       extract(epoch from now() - next_at + %(every)s * interval '1 second')::float8 as ago,
       next_at > now() + (%(every)s - %(silent)s) * interval '1 second' as lately
from leases where name = %(name)s
