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

-- name: load
-- What delivery needs to know of its texts.
select text.id, text.crm, text.ticket_id, text.door, text.state, event.changed_by, text.attempts, text.busy_since,
       text.not_before > now() as early,
       case when text.state = 'unknown' then text.sms end as sms, text.ask
from text join event on event.id = text.event
where text.id = any(%(ids)s)

-- name: claim_reasons
-- First come, first served. A conflict is not an error: the next query finds who has it.
insert into reason (crm, rule, reason, text)
select text.crm, d.rule, d.reason, text.id
from jsonb_to_recordset(%(decisions)s) as d (id bigint, rule text, reason text) join text on text.id = d.id
order by text.crm, d.rule, d.reason, text.id
on conflict (crm, rule, reason) do nothing

-- name: queue_decided
-- The texts that hold their reason and their number are queued with what was decided; the others learn which text
-- holds the reason.
with d as (
    select text.id, text.state as from_state, d.rule, d.sms, d.trace, d.number, reason.text as holder
    from jsonb_to_recordset(%(decisions)s) as d (
        id bigint, rule text, reason text, sms jsonb, trace jsonb, number boolean)
    join text on text.id = d.id and text.state in ('received', 'queued')
    cross join lateral (  -- one look into the index for each, whatever the statistics say
        select text from reason where reason.crm = text.crm and reason.rule = d.rule and reason.reason = d.reason limit 1
    ) reason
), queued as (
    update text set state = 'queued', rule = d.rule, sms = d.sms, trace = d.trace, changed_at = now()
    from d where text.id = d.id and d.holder = d.id and d.number and text.state = d.from_state
    returning text.id, d.from_state
), noted as (
    insert into history (text, from_state, to_state, why)
    select id, from_state, 'queued', '' from queued where from_state <> 'queued'
)
select id, holder from d

-- name: to_be_sent
-- Those of these texts that nobody has taken back, or sent. An unknown one may wait for its one more try.
select id from text where id = any(%(ids)s) and state in ('queued', 'unknown')

-- name: claim
-- Before the call: `sending`, committed, while the lane is open. An unknown text may be claimed where one more try was
-- planned (it has a time), and only once. Where the lane is closed: those that wait for it, why, and for how many
-- seconds. Asked afterwards it might be open again, and they would seem to be somebody else's.
with closed as (
    select stopped_why, extract(epoch from held_until - now())::float8 as held_for
    from pace where lane = %(lane)s and (stopped_why is not null or held_until > now())
), c as (
    select id, state as from_state from text
    where id = any(%(ids)s) and (state = 'queued' or state = 'unknown' and not_before <= now() and not tried_again)
), claimed as (
    update text set state = 'sending', tried_again = (c.from_state = 'unknown'), changed_at = now()
    from c where text.id = c.id and text.state = c.from_state and not exists (select from closed)
    returning text.id, c.from_state
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, 'sending', '' from claimed
)
select id, null as stopped_why, null as held_for from claimed
union all select c.id, closed.stopped_why, closed.held_for from c, closed

-- name: move
-- Texts go from one state to another, each only if it is still in a state that allows it; every step leaves a row.
-- `tell` counts an outcome for the ticket, but not while the text of the same reason has none itself: that one will
-- tell. `release` gives the reason back, because certainly nothing was sent.
with m as (
    select m.id, m.to_state, m.why, m.chat, m.same_as, m.release, m.tried, m.busy, m.after, m.trace,
           text.state as from_state,
           m.tell and (same.id is null or same.outcome > 0) as tell
    from jsonb_to_recordset(%(moves)s) as m (
        id bigint, from_states text[], to_state text, why text, chat jsonb, same_as bigint, tell boolean,
        release boolean, tried boolean, busy boolean, after double precision, trace jsonb)
    join text on text.id = m.id and text.state = any(m.from_states)
    left join text same on same.id = m.same_as
), moved as (
    update text set
        state = m.to_state,
        why = m.why,
        chat = coalesce(m.chat, text.chat),
        same_as = m.same_as,
        trace = coalesce(nullif(m.trace, 'null'), text.trace),
        attempts = text.attempts + m.tried::int,
        busy_since = case when m.busy then coalesce(text.busy_since, now()) else text.busy_since end,
        not_before = now() + m.after * interval '1 second',
        outcome = text.outcome + m.tell::int,
        changed_at = now()
    from m where text.id = m.id and text.state = m.from_state
    returning text.id, text.door, m.from_state, m.to_state, m.why, m.tell, m.release, m.after
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, to_state, why from moved
), released as (
    delete from reason using moved where reason.text = moved.id and moved.release
), freed as (
    update recipient set text = before_text, at = before_at, before_text = null from moved
    where recipient.text = moved.id and moved.release and recipient.before_text is not null
), forgotten as (
    delete from recipient using moved
    where recipient.text = moved.id and moved.release and recipient.before_text is null
)
select id, door, tell, after from moved

-- name: outcomes
-- What the tickets have to learn: of these texts those with an outcome that was not written yet. A text that was
-- skipped because of another one's reason tells that one's outcome. `overtaken`: a newer text has told the ticket.
select text.id, text.outcome, text.crm, text.ticket_id, told.state, told.why, told.rule, told.chat, told.changed_at,
       text.write_attempts,
       exists (select from text newer where newer.crm = text.crm and newer.ticket_id = text.ticket_id
               and newer.id > text.id and newer.written > 0) as overtaken
from text join text told on told.id = coalesce(text.same_as, text.id)
where text.id = any(%(ids)s) and text.outcome > text.written
order by text.id

-- name: written
-- The ticket has it, or never will (`refused` says why).
update text set written = greatest(written, w.version), write_refused = w.refused, write_attempts = 0
from jsonb_to_recordset(%(results)s) as w (id bigint, version int, refused text)
where text.id = w.id

-- name: write_later
-- The CRM did not take it this time.
update text set write_attempts = write_attempts + 1 where id = any(%(ids)s) returning id, door
