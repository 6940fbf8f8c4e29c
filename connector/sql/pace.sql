-- name: reserve
-- The next free slots, by the database's clock: seconds from now until the first of them.
insert into pace as p (lane, next_at) values (%(lane)s, clock_timestamp() + %(seconds)s * interval '1 second')
on conflict (lane) do update
    set next_at = greatest(p.next_at, clock_timestamp()) + %(seconds)s * interval '1 second'
returning extract(epoch from p.next_at - %(seconds)s * interval '1 second' - clock_timestamp())::float8

-- name: hold
-- No slot before then.
insert into pace as p (lane, next_at) values (%(lane)s, clock_timestamp() + %(seconds)s * interval '1 second')
on conflict (lane) do update set next_at = greatest(p.next_at, excluded.next_at)
