-- name: announce
-- Announce that a text with priority over batches is in hand at a worker.
insert into sending_state as p (account, next_at, people_until) values (%(account)s, now(), now() + %(seconds)s * interval '1 second')
on conflict (account) do update set people_until = excluded.people_until

-- name: wait
-- Whether such a text is in hand at a worker, or waits in the queue.
select exists (select from sending_state where account = %(account)s and people_until > clock_timestamp())
    or exists (select from pgqueuer
               where status = 'queued' and entrypoint = any(%(kinds)s::text[]) and execute_after <= clock_timestamp())
