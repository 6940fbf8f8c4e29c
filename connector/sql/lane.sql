-- name: look
-- Whether anybody may send: why not, and for how many seconds.
select stopped_why, extract(epoch from held_until - clock_timestamp())::float8 as held_for
from pace where lane = %(lane)s

-- name: hold
-- Nobody sends for so long. A shorter pause does not end a longer one.
insert into pace as p (lane, next_at, held_until) values (%(lane)s, now(), now() + %(seconds)s * interval '1 second')
on conflict (lane) do update set held_until = greatest(p.held_until, excluded.held_until)

-- name: stop
-- Nobody sends until it is resumed. The first reason stays. How often it was found wrong lately; no row: it is stopped.
insert into pace as p (lane, next_at, stopped_at, stopped_why, probed_at) values (%(lane)s, now(), now(), %(why)s, now())
on conflict (lane) do update set stopped_at = now(), stopped_why = excluded.stopped_why, probed_at = now(),
    probes = case when p.probed_at > now() - interval '1 hour' then p.probes + 1 else 0 end
    where p.stopped_at is null
returning probes

-- name: resume
-- Everybody may send again. True if it had been stopped or held.
update pace set stopped_at = null, stopped_why = null, held_until = null
where lane = %(lane)s and (stopped_at is not null or held_until > now())
returning lane

-- name: probed
-- Still wrong; how often it was so.
update pace set probes = probes + 1, probed_at = now()
where lane = %(lane)s and stopped_at is not null returning probes

-- name: status
-- For people.
select stopped_at, stopped_why, held_until from pace where lane = %(lane)s
