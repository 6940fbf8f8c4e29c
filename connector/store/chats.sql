-- name: begin
-- Add those of these chats that a text was sent by and that are not known yet, with the status of the response. The list
-- is to be read again from the call on, for what was read before this row. The call's time is known by our clock; by
-- the platform's it is not before the cursor less the time since the call. The later of the two is taken.
insert into chats (chat_id, status, at, source, ended, list_from)
select distinct on (texts.chat ->> 'id') texts.chat ->> 'id', coalesce(texts.chat ->> 'status', ''), texts.changed_at,
       'response', coalesce((texts.chat ->> 'ended')::boolean, texts.chat ->> 'status' = any(%(ended)s), false),
       greatest(now() - %(days)s * interval '1 day', called.at - %(skew)s * interval '1 second',
                (select cursor from leases where name = %(lease)s) - (now() - called.at))
from texts cross join lateral (
    select least(texts.changed_at, min(history.at)) as at from history
    where history.text = texts.id and history.to_state = 'sending'
) called
where texts.chat ->> 'id' = any(%(chats)s) and texts.chat is not null
order by texts.chat ->> 'id', texts.id
on conflict (chat_id) do nothing

-- name: lock
-- Lock these chats until the caller's transaction ends. Ordered, to avoid deadlocks.
select chat_id as chat, status, at, source, ended from chats where chat_id = any(%(chats)s) order by chat_id for update

-- name: report
-- Record reports that count.
update chats set status = r.status, at = r.at, source = r.source, ended = r.ended, seen_at = now(),
                webhook_at = case when r.source = 'webhook' then now() else chats.webhook_at end
from jsonb_to_recordset(%(reports)s) as r (chat text, status text, at timestamptz, source text, ended boolean)
where chats.chat_id = r.chat

-- name: to_write
-- Tickets that show these chats have a new status to write. A claim or a pause is not shortened.
update chat_updates set changes = changes + 1, due_at = coalesce(due_at, now()) where chat = any(%(chats)s)

-- name: followed
-- The number of chats that are followed through the list, and the oldest time of what is known of them.
select count(*) as chats, min(at) as since from chats
where not ended and seen_at > now() - %(days)s * interval '1 day'

-- name: new_ones
-- Lock the followed chats that the list has not been read for.
select chat_id, list_from from chats
where not ended and list_from is not null and seen_at > now() - %(days)s * interval '1 day' order by chat_id for update

-- name: listed
-- The list is being read for these chats.
update chats set list_from = null where chat_id = any(%(chats)s)

-- name: webhooks_heard
-- Whether a chat webhook was heard within so many seconds.
select from chats
where seen_at > now() - %(seconds)s * interval '1 second' and webhook_at > now() - %(seconds)s * interval '1 second' limit 1
