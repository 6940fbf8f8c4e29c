-- name: save
-- Save new events. One that cannot be read needs no processing. Ordered by key, to avoid deadlocks.
insert into chat_events (key, chat_id, event_type, occurred_at, body, raw, problem, problem_kind, processed_at)
select key, chat_id, event_type, occurred_at, case when raw is null then body end, decode(raw, 'base64'), problem,
       case when raw is not null then 'unreadable' end, case when raw is not null then now() end
from jsonb_to_recordset(%(events)s) as e (
    key text, chat_id text, event_type text, occurred_at timestamptz, body jsonb, raw text, problem text)
order by key
on conflict (key) do nothing
returning key

-- name: due
-- Lock events that are due, those that have waited longest first.
select id, chat_id, event_type, occurred_at, body,
       exists (select from texts where chat is not null and chat ->> 'id' = chat_events.chat_id) as known,
       received_at < now() - %(hours)s * interval '1 hour' as expired
from chat_events where processed_at is null and next_at <= now()
order by next_at, id limit %(most)s for update skip locked

-- name: processed
update chat_events set processed_at = now(), problem = null, problem_kind = null where id = any(%(ids)s)

-- name: ignored
update chat_events set processed_at = now(), problem = null, problem_kind = null, body = null where id = any(%(ids)s)

-- name: wait
-- Search again when the event is twice as old as now.
update chat_events set next_at = now() + least(greatest(now() - received_at, interval '2 seconds'),
                                               %(longest)s * interval '1 second')
where id = any(%(ids)s)

-- name: failed
-- Retry after a pause that doubles; once an hour when the event has failed too often.
update chat_events set failures = failures + 1, problem = %(problem)s, problem_kind = %(kind)s,
    next_at = now() + interval '1 second' *
        case when failures + 1 < %(most)s then least(2 ^ failures, %(longest)s) else %(aside)s end
where id = %(id)s returning failures

-- name: given_up
update chat_events set processed_at = now() where id = any(%(ids)s)

-- name: summary
-- Counts for operators, and when the last event arrived.
select (select received_at from chat_events order by id desc limit 1) as received_at,
       (select count(*) from chat_events where processed_at is null and problem_kind is null) as waiting,
       count(*) filter (where problem_kind = 'unreadable') as unreadable,
       count(*) filter (where problem_kind = 'unknown_sender') as unknown_sender,
       count(*) filter (where problem_kind = 'failed') as failed
from chat_events where problem_kind is not null
