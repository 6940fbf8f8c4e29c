-- name: announce
-- Somebody who comes before batches waits in a worker's hands.
insert into pace as p (lane, next_at, people_until) values (%(lane)s, now(), now() + %(seconds)s * interval '1 second')
on conflict (lane) do update set people_until = excluded.people_until

-- name: wait
-- Whether somebody does, or stands in the queue.
select exists (select from pace where lane = %(lane)s and people_until > clock_timestamp())
    or exists (select from pgqueuer
               where status = 'queued' and entrypoint = any(%(kinds)s::text[]) and execute_after <= clock_timestamp())
