-- name: decision
-- What was decided about one text, and when it was decided last.
select texts.state, texts.why, texts.trace, texts.sms, texts.number,
       coalesce(texts.rule, texts.accepted ->> 'rule', texts.request ->> 'rule') as rule,
       (select max(at) from history
        where history.text = texts.id and from_state in ('received', 'queued') and to_state in ('queued', 'skipped')) as at
from texts where texts.id = %(id)s

-- name: newest
-- The texts of a CRM's newest events, oldest first. Of the newest texts only, so that a CRM without any is found soon.
select id from (
    select id from (select id, crm from texts order by id desc limit %(among)s) newest
    where crm = %(crm)s order by id desc limit %(most)s
) found order by id

-- name: triggered
-- The text of the newest trigger of each of these tickets, where it has one.
select ticket.id, newest.id from unnest(%(tickets)s::text[]) as ticket (id)
cross join lateral (
    select texts.id from texts where texts.crm = %(crm)s and texts.ticket_id = ticket.id and texts.channel = 'trigger'
    order by texts.id desc limit 1
) newest
