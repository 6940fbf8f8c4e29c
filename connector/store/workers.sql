-- name: seen
-- Record a worker's heartbeat, at most once in so many seconds.
insert into workers as w (host, pid) values (%(host)s, %(pid)s)
on conflict (host, pid) do update set seen_at = now()
    where w.seen_at < now() - %(every)s * interval '1 second' or w.seen_at > now()  -- the clock was set back

-- name: gone
-- Forget a worker that has ended.
delete from workers where host = %(host)s and pid = %(pid)s

-- name: silence
-- Seconds since a worker of this host was heard of last. No row: none was.
select extract(epoch from now() - max(seen_at))::float8 from workers where host = %(host)s having count(*) > 0
