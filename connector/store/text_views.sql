-- name: unknown
-- Texts whose outcome is not known, with the time of the call, oldest first.
select text.id, text.crm, text.ticket_id, text.sms ->> 'outbound_number' as outbound_number,
       (select max(at) from history where history.text = text.id and to_state = 'sending') as called_at,
       text.changed_at as given_up_at
from text where state = 'unknown' and changed_at > %(since)s
order by changed_at

-- name: known_chats
-- Which of these chats belong to a text already.
select (chat ->> 'id')::bigint from text where chat ->> 'id' = any(%(chats)s)

-- name: listed
-- Texts for people, newest first; a filter that is null lets everything through.
select id, crm, ticket_id, door, state, rule, why, chat, (chat ->> 'id')::bigint as chat_id, outcome, written,
       write_refused, contradicted, busy_since, changed_at,
       case when state in ('received', 'queued') and not_before > now() then not_before end as leaves_at
from text
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
select text.id, text.crm, text.ticket_id, text.door, text.state, text.why, text.sms, text.ask, text.trace, text.chat,
       text.outcome, text.written, text.write_refused, text.changed_at, event.received_at,
       -- the ticket is told of what sent nothing once this one is settled
       case when text.outcome > text.written and text.state in ('failed', 'skipped', 'cancelled') then (
           select min(other.id) from text other
           where other.crm = text.crm and other.ticket_id = text.ticket_id and other.id <> text.id
               and coalesce(text.same_as, other.id) = other.id
               and (other.state in ('received', 'queued', 'sending')
                    or text.same_as is null and other.state = 'unknown' and text.door <> 'trigger')) end as told_after,
       case when text.state in ('received', 'queued') and text.not_before > now() then text.not_before end as leaves_at
from text join event on event.id = text.event

-- name: seen
-- One of them.
{as_seen}
where text.id = %(id)s

-- name: seen_of_ticket
-- All of a ticket's texts, newest first.
{as_seen}
where text.crm = %(crm)s and text.ticket_id = %(ticket)s
order by text.id desc limit %(most)s

-- name: counts
-- How many texts are in each state, how many outcomes their tickets do not have yet; how many are queued for later, and
-- when the next of these leaves.
select state, count(*) as texts, count(*) filter (where outcome > written) as untold,
       count(*) filter (where outcome > written and write_refused is not null) as refused,
       count(*) filter (where contradicted is not null) as contradicted,
       count(*) filter (where state = 'queued' and not_before > now()) as held,
       min(not_before) filter (where state = 'queued' and not_before > now()) as leaves_at
from text group by state order by state

-- name: story
-- One text and how it came there, for people.
select text.id, text.crm, text.ticket_id, text.door, text.state, text.rule, text.sms, text.chat, text.why,
       text.outcome, text.written, text.write_refused, text.contradicted, event.event_id, event.received_at, text.changed_at, text.trace,
       coalesce(text.ask ->> 'agent_name', text.ask ->> 'agent_email') as agent, text.ask ->> 'override' as override,
       case when text.state in ('received', 'queued') and text.not_before > now() then text.not_before end as leaves_at
from text join event on event.id = text.event where text.id = %(id)s

-- name: history
-- Every step of one text, oldest first.
select at, from_state, to_state, why from history where text = %(id)s order by at
