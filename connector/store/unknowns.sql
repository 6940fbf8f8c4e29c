-- part: open_text
-- Unknown texts with the time of their last call.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.rule, texts.why, texts.number, texts.unclear,
       called.at as called_at, texts.changed_at as given_up_at,
       extract(epoch from clock_timestamp() - texts.changed_at)::float8 as age,
       case when texts.not_before > now() and not texts.tried_again then texts.not_before end as tries_again_at,
       texts.sms ->> 'end_user_number' as end_user_number, texts.sms ->> 'outbound_number' as outbound_number,
       texts.sms ->> 'message' as message,
       (select count(*) from texts follower where follower.same_as = texts.id and follower.state = 'skipped') as followers
from texts left join lateral (
    select max(at) as at from history where history.text = texts.id and to_state = 'sending'
) called on true

-- name: open
-- Unknown texts, oldest first, after this place in the list.
{open_text}
where texts.state = 'unknown'
  and (%(after)s::timestamptz is null or (texts.changed_at, texts.id) > (%(after)s, %(after_id)s))
order by texts.changed_at, texts.id limit %(most)s

-- name: one
{open_text}
where texts.state = 'unknown' and texts.id = %(id)s

-- name: count
select count(*) from texts where state = 'unknown'

-- name: calls
-- Each call of a text and how it ended, oldest first.
select history.at, ended.at as ended_at, ended.to_state as ended_as, coalesce(ended.why, '') as why
from history left join lateral (
    select later.at, later.to_state, later.why from history later
    where later.text = history.text and later.at > history.at and later.from_state = 'sending'
    order by later.at limit 1
) ended on true
where history.text = %(id)s and history.to_state = 'sending' order by history.at

-- name: chats
-- Chats of other texts to the same number, or about the same ticket, around the time of a call; nearest first. `at`: the
-- time of the chat's newest status.
select (other.chat ->> 'id')::bigint as chat, other.id as text, other.ticket_id, other.number is not distinct from %(number)s as same_number,
       coalesce(chats.status, other.chat ->> 'status', '') as status, coalesce(chats.ended, false) as ended,
       coalesce(chats.at, other.changed_at) as at, sent.at as sent_at
from (
    select id from texts where number = %(number)s
    union select id from texts where crm = %(crm)s and ticket_id = %(ticket)s
) as near
join texts other on other.id = near.id and other.chat is not null and other.id <> %(id)s
left join chats on chats.chat_id = other.chat ->> 'id'
cross join lateral (
    select coalesce(max(history.at), other.changed_at) as at from history
    where history.text = other.id and history.to_state = 'sending'
) sent
where sent.at between %(called)s::timestamptz - %(hours)s * interval '1 hour'
                  and %(called)s::timestamptz + %(hours)s * interval '1 hour'
order by abs(extract(epoch from sent.at - %(called)s::timestamptz)), other.id limit %(most)s

-- name: unclaimed
-- Chats that posted events around the time of a call and belong to no text, the earliest first.
select event.chat_id as chat, min(event.occurred_at) as first_at, max(event.occurred_at) as last_at,
       array_agg(distinct event.event_type order by event.event_type) filter (where event.event_type is not null) as events
from (
    select chat_id, event_type, occurred_at from chat_events
    where received_at between %(called)s::timestamptz - %(skew)s * interval '1 second'
                          and %(given_up)s::timestamptz + %(hours)s * interval '1 hour'
      and chat_id is not null
    order by received_at limit %(most_events)s
) event
where not exists (select from texts where texts.chat is not null and texts.chat ->> 'id' = event.chat_id)
group by event.chat_id
having min(event.occurred_at) >= %(called)s::timestamptz - %(skew)s * interval '1 second'
order by min(event.occurred_at), event.chat_id limit %(most)s

-- name: busy
-- Later refusals of other texts to the same number: the customer was in a session. `since`: the first one of each.
select id as text, ticket_id, state, coalesce(busy_since, changed_at) as since
from texts
where number = %(number)s and id <> %(id)s and (busy_since is not null or code = 'customer_busy')
  and coalesce(busy_since, changed_at) >= %(called)s
order by coalesce(busy_since, changed_at), id limit %(most)s

-- name: text_of_chat
-- The text that this chat belongs to.
select id from texts where chat is not null and chat ->> 'id' = %(chat)s order by id limit 1

-- name: time_to_settle
-- How many unknown texts were settled lately, and how long they took, in seconds.
select count(*) as settled, percentile_cont(0.5) within group (order by seconds) as median,
       percentile_cont(0.95) within group (order by seconds) as p95
from (select extract(epoch from took)::float8 as seconds from {settlements}) as times

-- name: lock_chat
-- Two people may give the same chat to two texts at the same moment: the second waits, and finds it taken.
select pg_advisory_xact_lock(hashtextextended('chat ' || %(chat)s, 0))
