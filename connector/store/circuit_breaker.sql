-- name: look
-- Which accounts may not be used: why not, and for how many seconds.
select lane, stopped_why, confirmed, extract(epoch from held_until - clock_timestamp())::float8 as held_for, held_why
from pace where stopped_why is not null or held_until > clock_timestamp()

-- name: hold
-- Not used for so long. A shorter pause does not end a longer one; those that meet the same at once are one.
insert into pace as p (lane, next_at, held_until, held_why, holds)
values (%(lane)s, now(), now() + coalesce(%(seconds)s::float8, %(first)s * %(jitter)s) * interval '1 second', %(why)s, 1)
on conflict (lane) do update set
    held_until = greatest(p.held_until, now() + interval '1 second' * coalesce(
        %(seconds)s::float8, case when p.held_until > now() then 0
                     else least(%(first)s * 2 ^ least(p.holds, 20), %(longest)s) * %(jitter)s end)),
    held_why = excluded.held_why,
    holds = p.holds + (p.held_until is null or p.held_until <= now())::int

-- name: stop
-- Not used until it is resumed. The first reason stays. No row: it was stopped already.
insert into pace as p (lane, next_at, stopped_at, stopped_why, confirmed, refused_text, probed_at, probe_at)
values (%(lane)s, now(), now(), %(why)s, %(confirmed)s, %(text)s::bigint, now(), now() + %(first)s * %(jitter)s * interval '1 second')
on conflict (lane) do update set
    stopped_at = now(), stopped_why = excluded.stopped_why, confirmed = excluded.confirmed, refused_text = excluded.refused_text, probed_at = now(),
    probes = case when p.probed_at > now() - interval '1 hour' and p.probed_at > coalesce(p.passed_at, '-infinity')
             then p.probes + 1 else 0 end,
    probe_at = now() + %(jitter)s * interval '1 second' * least(%(longest)s, %(first)s * 2 ^ least(20,
        case when p.probed_at > now() - interval '1 hour' and p.probed_at > coalesce(p.passed_at, '-infinity')
        then p.probes + 1 else 0 end))
    where p.stopped_at is null
returning lane

-- name: stop_for_people
-- Whatever it was stopped for before. It is never due for a probe.
insert into pace as p (lane, next_at, stopped_at, stopped_why, for_people) values (%(lane)s, now(), now(), %(why)s, true)
on conflict (lane) do update set stopped_at = now(), stopped_why = excluded.stopped_why, confirmed = true, for_people = true

-- name: alone
-- Others have passed since then, or this text's refusal was the last that stopped the account.
select passed_at > %(since)s::timestamptz or refused_text = %(text)s::bigint and %(since)s::timestamptz is not null
from pace where lane = %(lane)s

-- name: passed
-- Something has passed: the next trouble is a new one.
insert into pace as p (lane, next_at, passed_at) select lane, now(), now() from unnest(%(lanes)s::text[]) as lane
order by lane
on conflict (lane) do update set passed_at = now(), holds = 0

-- name: resume
-- In use again: those that had been stopped or held.
update pace set stopped_at = null, stopped_why = null, for_people = false, held_until = null, held_why = null, holds = 0
where lane = coalesce(%(lane)s::text, lane) and (stopped_at is not null or held_until > now())
returning lane

-- name: probe_due
-- Whoever comes first when it is due has the turn.
update pace set probe_at = now() + %(turn)s * interval '1 second'
where lane = %(lane)s and stopped_at is not null and not for_people and coalesce(probe_at, '-infinity') <= now()
returning lane

-- name: probed
-- Still wrong. In how many seconds it is probed next.
update pace set
    probes = probes + 1, probed_at = now(), confirmed = true,
    probe_at = now() + interval '1 second' * coalesce(
        %(seconds)s::float8, least(%(longest)s, %(first)s * 2 ^ least(20, probes + 1)) * %(jitter)s)
where lane = %(lane)s and stopped_at is not null
returning extract(epoch from probe_at - now())::float8

-- name: status
-- For people.
select lane, stopped_at, stopped_why, case when stopped_at is not null and not for_people then probe_at end as probe_at, for_people,
       case when held_until > now() then held_until end as held_until, held_why
from pace where stopped_at is not null or held_until > now()
order by lane <> 'ccaip', lane
