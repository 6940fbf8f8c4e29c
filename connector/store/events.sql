-- name: take_in
-- Events that are new become rows, and a text each if there is a ticket. In the order of their ids: no deadlocks.
with incoming as (
    select * from jsonb_to_recordset(%(events)s) as e (
        crm text, event_id text, door text, ticket_id text, changed_by text, body jsonb, raw text, problem text,
        ask jsonb)
    order by crm, event_id
), fresh as (
    insert into event (crm, event_id, door, ticket_id, changed_by, body, raw, problem)
    select crm, event_id, door, ticket_id, changed_by, case when raw is null then body end, decode(raw, 'base64'), problem
    from incoming
    on conflict (crm, event_id) do nothing
    returning id, crm, event_id, door, ticket_id
), texts as (
    insert into text (event, crm, ticket_id, door, ask)
    select fresh.id, fresh.crm, fresh.ticket_id, fresh.door, nullif(incoming.ask, 'null')
    from fresh join incoming on incoming.crm = fresh.crm and incoming.event_id = fresh.event_id
    where fresh.ticket_id is not null
    returning id, event
)
select fresh.event_id, texts.id as text, false as duplicate from fresh left join texts on texts.event = fresh.id

-- name: known
-- The texts of events that had been taken in before; and whether these are about another ticket than those.
select event.event_id, text.id as text, true as duplicate, event.ticket_id is distinct from again.ticket_id as misused
from jsonb_to_recordset(%(events)s) as again (event_id text, ticket_id text)
cross join lateral (  -- one look into the index for each, whatever the statistics say
    select * from event where event.crm = %(crm)s and event.event_id = again.event_id limit 1
) event
left join text on text.event = event.id
