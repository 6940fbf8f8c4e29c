-- name: asked
-- The rule and reason that a text asked for, by itself or through the text that it was skipped for; and the text whose
-- reason an agent's override repeats.
select texts.crm, own.rule, own.reason, coalesce(own.request ->> 'reason_name', '') as reason_name,
       (select split_part(finding ->> 'about', ':', 1)::bigint
        from jsonb_array_elements(coalesce(own.trace, '[]')) as finding
        where finding ->> 'check' = 'reason' and finding ->> 'said' = 'overridden' limit 1) as repeats
from texts join texts own on own.id = coalesce(texts.same_as, texts.id) where texts.id = %(id)s

-- name: holder
-- The text that holds the reason now.
select text from reasons where crm = %(crm)s and rule = %(rule)s and reason = %(reason)s

-- part: askers
-- The texts that claimed the reason, those that were skipped for them, and those whose check found the reason used:
-- blocked, or sent nevertheless by an agent's override.
own as (
    select id, ticket_id from texts where reason = %(reason)s and rule = %(rule)s and crm = %(crm)s
), askers as (
    select id from own
    union select texts.id from own join texts on texts.same_as = own.id
    union select texts.id
    from (select distinct ticket_id from own) as tickets
    join texts on texts.crm = %(crm)s and texts.ticket_id = tickets.ticket_id
    where exists (select from jsonb_array_elements(texts.trace) as finding
                  where finding ->> 'check' = 'reason' and finding ->> 'said' in ('stop', 'overridden')
                    and split_part(finding ->> 'about', ':', 1)::bigint in (select id from own))
)

-- name: requests
-- These texts with their events and what their tickets were told, oldest first.
with {askers}
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.why, texts.same_as, texts.received_at,
       texts.changed_at, events.event_id, events.changed_by,
       coalesce(texts.request ->> 'agent_name', texts.request ->> 'agent_email') as agent,
       coalesce(texts.request ->> 'override', '') as override,
       texts.reason is not distinct from %(reason)s as claimed, texts.state = 'sent' and texts.reason is distinct from %(reason)s as sent_anyway,
       texts.outcome, texts.written, texts.write_refused, reported.state as reported_state, reported.why as reported_why,
       (reported.chat ->> 'id')::bigint as reported_chat
from askers join texts on texts.id = askers.id
join events on events.id = texts.event
join texts reported on reported.id = coalesce(texts.same_as, texts.id)
order by texts.id limit %(most)s

-- name: clicks
-- Requests by people and programs that became these texts, as long as their keys are kept.
select text, caller, at from idempotency_keys where text = any(%(ids)s) order by at, caller limit %(most)s

-- name: plan_rows
-- Cases of back-fills that became these texts.
select cases.text, cases.plan, cases.position, cases.ticket_id, plans.state as plan_state, plans.made_at, cases.skip
from plan_cases cases join plans on plans.id = cases.plan
where cases.text = any(%(ids)s) order by plans.made_at, cases.position limit %(most)s

-- name: plan_rows_left_out
-- Cases of back-fills of the same rule that were planned for these tickets and not texted.
select null::bigint as text, cases.plan, cases.position, cases.ticket_id, plans.state as plan_state, plans.made_at, cases.skip
from plans join plan_cases cases on cases.plan = plans.id and cases.ticket_id = any(%(tickets)s)
where plans.crm = %(crm)s and coalesce(plans.request ->> 'rule', %(rule)s) = %(rule)s and cases.skip is not null
order by plans.made_at, cases.position limit %(most)s
