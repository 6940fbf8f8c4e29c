-- name: take
-- Whoever comes first after the time takes the turn; the next one is due in so many seconds.
insert into duty as d (name, next_at) values (%(name)s, now() + %(seconds)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at where d.next_at <= now()
returning name

-- name: put_off
-- The next turn is due in so many seconds, whatever was planned.
insert into duty as d (name, next_at) values (%(name)s, now() + %(seconds)s * interval '1 second')
on conflict (name) do update set next_at = excluded.next_at

-- name: cursor
-- How far the duty has come.
select cursor from duty where name = %(name)s

-- name: move_cursor
-- It has come so far.
update duty set cursor = %(cursor)s where name = %(name)s

-- name: heard
-- When the last turn was taken that is taken every so often; and whether that is not too long ago.
select next_at - %(every)s * interval '1 second' as at,
       next_at > now() + (%(every)s - %(silent)s) * interval '1 second' as lately
from duty where name = %(name)s
