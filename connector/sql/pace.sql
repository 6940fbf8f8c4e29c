-- name: open
-- The lane's row, locked: who asks next waits until our slots are committed. Times are the database's.
insert into pace as p (lane, next_at) values (%(lane)s, now())
on conflict (lane) do update set lane = excluded.lane
returning recent, recent_batch, extract(epoch from clock_timestamp())::float8 as now, stopped_why, confirmed,
          extract(epoch from held_until)::float8 as held_until, held_why

-- name: keep
-- The slots that were given out, and once more what time it is.
update pace set recent = %(recent)s, recent_batch = %(recent_batch)s where lane = %(lane)s
returning extract(epoch from clock_timestamp())::float8
