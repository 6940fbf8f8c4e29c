-- name: look
-- The accounts that are paused or tripped, with the reason and the seconds that are left.
select account, stopped_why, confirmed, extract(epoch from held_until - clock_timestamp())::float8 as held_for, held_why
from sending_state where stopped_why is not null or held_until > clock_timestamp()

-- name: hold
-- Pause an account. A shorter pause does not cut a longer one short; failures during a pause count as the same one.
insert into sending_state as p (account, next_at, held_until, held_why, holds)
values (%(account)s, now(), now() + coalesce(%(seconds)s::float8, %(first)s * %(jitter)s) * interval '1 second', %(why)s, 1)
on conflict (account) do update set
    held_until = greatest(p.held_until, now() + interval '1 second' * coalesce(
        %(seconds)s::float8, case when p.held_until > now() then 0
                     else least(%(first)s * 2 ^ least(p.holds, 20), %(longest)s) * %(jitter)s end)),
    held_why = excluded.held_why,
    holds = p.holds + (p.held_until is null or p.held_until <= now())::int

-- name: stop
-- Trip the breaker until it is resumed. The first reason is kept. No row: it was tripped already.
insert into sending_state as p (account, next_at, stopped_at, stopped_why, confirmed, refused_text, probed_at, probe_at)
values (%(account)s, now(), now(), %(why)s, %(confirmed)s, %(text)s::bigint, now(), now() + %(first)s * %(jitter)s * interval '1 second')
on conflict (account) do update set
    stopped_at = now(), stopped_why = excluded.stopped_why, confirmed = excluded.confirmed, refused_text = excluded.refused_text, probed_at = now(),
    probes = case when p.probed_at > now() - interval '1 hour' and p.probed_at > coalesce(p.passed_at, '-infinity')
             then p.probes + 1 else 0 end,
    probe_at = now() + %(jitter)s * interval '1 second' * least(%(longest)s, %(first)s * 2 ^ least(20,
        case when p.probed_at > now() - interval '1 hour' and p.probed_at > coalesce(p.passed_at, '-infinity')
        then p.probes + 1 else 0 end))
    where p.stopped_at is null
returning account

-- name: stop_for_people
-- Trip the breaker until an operator resumes it; replaces an earlier reason. No probe becomes due.
insert into sending_state as p (account, next_at, stopped_at, stopped_why, for_people) values (%(account)s, now(), now(), %(why)s, true)
on conflict (account) do update set stopped_at = now(), stopped_why = excluded.stopped_why, confirmed = true, for_people = true

-- name: alone
-- Whether other calls have succeeded since then, or this text's refusal was the last that tripped the breaker.
select passed_at > %(since)s::timestamptz or refused_text = %(text)s::bigint and %(since)s::timestamptz is not null
from sending_state where account = %(account)s

-- name: passed
-- A call succeeded: the next failure starts a new series.
insert into sending_state as p (account, next_at, passed_at) select account, now(), now() from unnest(%(lanes)s::text[]) as account
order by account
on conflict (account) do update set passed_at = now(), holds = 0

-- name: resume
-- Resume; the accounts that were tripped or paused.
update sending_state set stopped_at = null, stopped_why = null, for_people = false, held_until = null, held_why = null, holds = 0
where account = coalesce(%(account)s::text, account) and (stopped_at is not null or held_until > now())
returning account

-- name: probe_due
-- Give the due probe to the first worker that asks.
update sending_state set probe_at = now() + %(turn)s * interval '1 second'
where account = %(account)s and stopped_at is not null and not for_people and coalesce(probe_at, '-infinity') <= now()
returning account

-- name: probed
-- The probe failed; the seconds until the next one.
update sending_state set
    probes = probes + 1, probed_at = now(), confirmed = true,
    probe_at = now() + interval '1 second' * coalesce(
        %(seconds)s::float8, least(%(longest)s, %(first)s * 2 ^ least(20, probes + 1)) * %(jitter)s)
where account = %(account)s and stopped_at is not null
returning extract(epoch from probe_at - now())::float8

-- name: status
-- The accounts that are paused or tripped, for display.
select account, stopped_at, stopped_why, case when stopped_at is not null and not for_people then probe_at end as probe_at, for_people,
       case when held_until > now() then held_until end as held_until, held_why
from sending_state where stopped_at is not null or held_until > now()
order by account <> 'ccaip', account
