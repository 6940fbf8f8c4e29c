-- name: current_pauses
-- The accounts that are paused or tripped, with the reason and the seconds that are left.
select account, tripped_why, confirmed, extract(epoch from paused_until - clock_timestamp())::float8 as paused_for, paused_why
from sending_state where tripped_why is not null or paused_until > clock_timestamp()

-- name: pause
-- Pause an account. A shorter pause does not cut a longer one short; failures during a pause count as the same one.
insert into sending_state as p (account, next_at, paused_until, paused_why, pauses)
values (%(account)s, now(), now() + coalesce(%(seconds)s::float8, %(first)s * %(jitter)s) * interval '1 second', %(why)s, 1)
on conflict (account) do update set
    paused_until = greatest(p.paused_until, now() + interval '1 second' * coalesce(
        %(seconds)s::float8, case when p.paused_until > now() then 0
                     else least(%(first)s * 2 ^ least(p.pauses, 20), %(longest)s) * %(jitter)s end)),
    paused_why = excluded.paused_why,
    pauses = p.pauses + (p.paused_until is null or p.paused_until <= now())::int

-- name: trip
-- Trip the breaker until it is resumed. The first reason is kept. No row: it was tripped already.
insert into sending_state as p (account, next_at, tripped_at, tripped_why, confirmed, refused_text, probed_at, probe_at)
values (%(account)s, now(), now(), %(why)s, %(confirmed)s, %(text)s::bigint, now(), now() + %(first)s * %(jitter)s * interval '1 second')
on conflict (account) do update set
    tripped_at = now(), tripped_why = excluded.tripped_why, confirmed = excluded.confirmed, refused_text = excluded.refused_text, probed_at = now(),
    probes = case when p.probed_at > now() - interval '1 hour' and p.probed_at > coalesce(p.passed_at, '-infinity')
             then p.probes + 1 else 0 end,
    probe_at = now() + %(jitter)s * interval '1 second' * least(%(longest)s, %(first)s * 2 ^ least(20,
        case when p.probed_at > now() - interval '1 hour' and p.probed_at > coalesce(p.passed_at, '-infinity')
        then p.probes + 1 else 0 end))
    where p.tripped_at is null
returning account

-- name: trip_until_resumed
-- Trip the breaker until an operator resumes it; replaces an earlier reason. No probe becomes due.
insert into sending_state as p (account, next_at, tripped_at, tripped_why, manual_resume) values (%(account)s, now(), now(), %(why)s, true)
on conflict (account) do update set tripped_at = now(), tripped_why = excluded.tripped_why, confirmed = true, manual_resume = true

-- name: alone
-- Whether other calls have succeeded since then, or this text's refusal was the last that tripped the breaker.
select passed_at > %(since)s::timestamptz or refused_text = %(text)s::bigint and %(since)s::timestamptz is not null
from sending_state where account = %(account)s

-- name: passed
-- A call succeeded: the next failure starts a new series.
insert into sending_state as p (account, next_at, passed_at) select account, now(), now() from unnest(%(lanes)s::text[]) as account
order by account
on conflict (account) do update set passed_at = now(), pauses = 0

-- name: resume
-- Resume; the accounts that were tripped or paused.
update sending_state set tripped_at = null, tripped_why = null, manual_resume = false, paused_until = null, paused_why = null, pauses = 0
where account = coalesce(%(account)s::text, account) and (tripped_at is not null or paused_until > now())
returning account

-- name: probe_due
-- Give the due probe to the first worker that asks.
update sending_state set probe_at = now() + %(turn)s * interval '1 second'
where account = %(account)s and tripped_at is not null and not manual_resume and coalesce(probe_at, '-infinity') <= now()
returning account

-- name: probed
-- The probe failed; the seconds until the next one.
update sending_state set
    probes = probes + 1, probed_at = now(), confirmed = true,
    probe_at = now() + interval '1 second' * coalesce(
        %(seconds)s::float8, least(%(longest)s, %(first)s * 2 ^ least(20, probes + 1)) * %(jitter)s)
where account = %(account)s and tripped_at is not null
returning extract(epoch from probe_at - now())::float8

-- name: status
-- The accounts that are paused or tripped, for display.
select account, tripped_at, tripped_why, case when tripped_at is not null and not manual_resume then probe_at end as probe_at, manual_resume,
       case when paused_until > now() then paused_until end as paused_until, paused_why
from sending_state where tripped_at is not null or paused_until > now()
order by account <> 'ccaip', account
