-- name: unknown
-- Texts whose outcome is not known, with the time of the call, oldest first.
select texts.id, texts.crm, texts.ticket_id, texts.sms ->> 'outbound_number' as outbound_number,
       (select max(at) from history where history.text = texts.id and to_state = 'sending') as called_at,
       texts.changed_at as given_up_at
from texts where state = 'unknown' and changed_at > %(since)s
order by changed_at

-- name: known_chats
-- Which of these chats belong to a text already.
select (chat ->> 'id')::bigint from texts where chat ->> 'id' = any(%(chats)s)

-- name: listed
-- Texts for people, newest first; a filter that is null lets everything through.
select id, crm, ticket_id, channel, state, rule, why, chat, (chat ->> 'id')::bigint as chat_id, outcome, written,
       write_refused, contradicted, busy_since, changed_at,
       case when state in ('received', 'queued') and not_before > now() then not_before end as leaves_at
from texts
where (%(state)s::text is null or state = %(state)s) and (%(ticket)s::text is null or ticket_id = %(ticket)s)
  and (%(crm)s::text is null or crm = %(crm)s)
  and case %(only)s::text
      when 'held' then state = 'queued' and not_before > now()
      when 'refused' then outcome > written and write_refused is not null
      when 'contradicted' then contradicted is not null
      else true end
order by id desc limit %(most)s

-- part: as_seen
-- Texts as their askers see them.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.why, texts.sms, texts.ask, texts.trace, texts.chat,
       texts.outcome, texts.written, texts.write_refused, texts.changed_at, events.received_at,
       -- the ticket is told of what sent nothing once this one is settled
       case when texts.outcome > texts.written and texts.state in ('failed', 'skipped', 'cancelled') then (
           select min(other.id) from texts other
           where other.crm = texts.crm and other.ticket_id = texts.ticket_id and other.id <> texts.id
               and coalesce(texts.same_as, other.id) = other.id
               and (other.state in ('received', 'queued', 'sending')
                    or texts.same_as is null and other.state = 'unknown' and texts.channel <> 'trigger')) end as told_after,
       case when texts.state in ('received', 'queued') and texts.not_before > now() then texts.not_before end as leaves_at
from texts join events on events.id = texts.event

-- name: seen
-- One of them.
{as_seen}
where texts.id = %(id)s

-- name: seen_of_ticket
-- All of a ticket's texts, newest first.
{as_seen}
where texts.crm = %(crm)s and texts.ticket_id = %(ticket)s
order by texts.id desc limit %(most)s

-- name: counts
-- How many texts are in each state, how many outcomes their tickets do not have yet; how many are queued for later, and
-- when the next of these leaves.
select state, count(*) as texts, count(*) filter (where outcome > written) as untold,
       count(*) filter (where outcome > written and write_refused is not null) as refused,
       count(*) filter (where contradicted is not null) as contradicted,
       count(*) filter (where state = 'queued' and not_before > now()) as held,
       min(not_before) filter (where state = 'queued' and not_before > now()) as leaves_at
from texts group by state order by state

-- name: story
-- One text and how it came there, for people.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.rule, texts.sms, texts.chat, texts.why,
       texts.outcome, texts.written, texts.write_refused, texts.contradicted, events.event_id, events.received_at, texts.changed_at, texts.trace,
       coalesce(texts.ask ->> 'agent_name', texts.ask ->> 'agent_email') as agent, texts.ask ->> 'override' as override,
       case when texts.state in ('received', 'queued') and texts.not_before > now() then texts.not_before end as leaves_at
from texts join events on events.id = texts.event where texts.id = %(id)s

-- name: history
-- Every step of one text, oldest first.
select at, from_state, to_state, why from history where text = %(id)s order by at
