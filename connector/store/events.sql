-- name: take_in
-- Save new events, with a text for each that has a ticket. A text that is scheduled is not due before its time. Ordered by event id, to avoid deadlocks.
with incoming as (
    select * from jsonb_to_recordset(%(events)s) as e (
        crm text, event_id text, channel text, ticket_id text, changed_by text, body jsonb, raw text, problem text,
        request jsonb, traceparent text)
    order by crm, event_id
), fresh as (
    insert into events (crm, event_id, channel, ticket_id, changed_by, body, raw, problem)
    select crm, event_id, channel, ticket_id, changed_by, case when raw is null then body end, decode(raw, 'base64'), problem
    from incoming
    on conflict (crm, event_id) do nothing
    returning id, crm, event_id, channel, ticket_id
), made as (
    insert into texts (event, crm, ticket_id, channel, request, traceparent, number, not_before, due_at, why)
    select fresh.id, fresh.crm, fresh.ticket_id, fresh.channel, nullif(incoming.request, 'null'),
           incoming.traceparent, incoming.request ->> 'number', (incoming.request ->> 'send_at')::timestamptz,
           coalesce((incoming.request ->> 'send_at')::timestamptz, now()),
           coalesce('scheduled for ' || to_char((incoming.request ->> 'send_at')::timestamptz at time zone 'UTC',
                                                'YYYY-MM-DD HH24:MI') || ' UTC', '')
    from fresh join incoming on incoming.crm = fresh.crm and incoming.event_id = fresh.event_id
    where fresh.ticket_id is not null
    returning id, event, not_before
)
select fresh.event_id, made.id as text, false as duplicate,
       coalesce(greatest(extract(epoch from made.not_before - now()), 0), 0)::float8 as after
from fresh left join made on made.event = fresh.id

-- name: known
-- The texts of events that were saved before, and whether the saved event was about another ticket.
select events.event_id, texts.id as text, true as duplicate, events.ticket_id is distinct from again.ticket_id as misused
from jsonb_to_recordset(%(events)s) as again (event_id text, ticket_id text)
cross join lateral (  -- forces one index lookup for each event, whatever the planner's statistics say
    select * from events where events.crm = %(crm)s and events.event_id = again.event_id limit 1
) events
left join texts on texts.event = events.id
