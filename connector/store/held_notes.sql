-- name: pending
-- The holds of these texts to write to their tickets.
select id, held_version, crm, ticket_id, coalesce(rule, accepted ->> 'rule', request ->> 'rule') as rule, held, changed_at from texts
where id = any(%(ids)s) and state = 'queued' and held_version > held_written

-- name: lock_tickets
-- Lock all texts of the tickets of these texts, until the caller's transaction ends: none of them gets an outcome
-- meanwhile. Those that others have locked are left out.
select other.id from texts other
where (other.crm, other.ticket_id) in (select crm, ticket_id from texts where id = any(%(ids)s))
order by other.id for update of other skip locked

-- name: begin
-- Begin to write holds to tickets, whose texts the caller has `locked`. From this commit on, the tickets' outcomes wait
-- for the end, for two minutes at most: longer than any write lasts. Not while another note of the ticket is being
-- written, nor while another of its texts is being sent, is unknown, or has an outcome that the ticket does not have.
with n as (
    select texts.id, w.wrote from jsonb_to_recordset(%(notes)s) as w (id bigint, version int, wrote jsonb)
    join texts on texts.id = w.id and texts.held_version = w.version
    where texts.state = 'queued' and texts.held_version > texts.held_written
)
update texts set held_begun = now(), held_wrote = n.wrote from n
where texts.id = n.id and not exists (
    select from texts other where other.crm = texts.crm and other.ticket_id = texts.ticket_id
    and (other.held_begun > now() - interval '2 minutes'
         or not other.id = any(%(locked)s)
         or other.id <> texts.id and (other.state in ('sending', 'unknown') or other.outcome > other.written
                                      or other.write_begun > 0)))
returning texts.id

-- name: end
-- The writes have ended: the tickets have these holds, or never will. An outcome that the ticket has already is written
-- again: the worker was stopped for so long that its note may have come after it.
with n as (
    select texts.id, w.version, texts.state not in ('received', 'queued', 'sending') and texts.outcome > 0
                                and texts.outcome <= texts.written as late
    from jsonb_to_recordset(%(notes)s) as w (id bigint, version int) join texts on texts.id = w.id
    order by texts.id for update of texts
)
update texts set held_begun = null, held_written = greatest(texts.held_written, n.version), outcome = texts.outcome + n.late::int
from n where texts.id = n.id
returning texts.id, texts.channel, n.late

-- name: paused
-- Texts that a pause covers and that are due otherwise, whose tickets do not show this pause. The search uses the index
-- of open texts. A trigger that no rule has accepted yet may not be noted as it is, nor may a text that was not decided.
select texts.id, texts.state = 'queued' and (texts.channel <> 'trigger' or texts.accepted is not null), p.scope, p.name
from texts cross join lateral ({pause_of_text}) p
join jsonb_to_recordset(%(holds)s) as h (scope text, name text, held jsonb) on h.scope = p.scope and h.name = p.name
where texts.state in ('received', 'queued') and texts.crm = %(crm)s
  and (texts.not_before is null or texts.not_before <= now())
  and (texts.channel <> 'agent' or texts.request ->> 'send_at' is not null)
  and texts.held is distinct from h.held and not texts.id = any(%(without)s::bigint[])
order by texts.id limit %(most)s

-- name: pause
-- The texts wait for the end of a pause; those whose hold is a new one. Not a trigger that no rule has accepted yet: the
-- note may change what its rule looks at.
update texts set held = w.held, held_version = held_version + 1
from jsonb_to_recordset(%(holds)s) as w (id bigint, held jsonb)
where texts.id = w.id and texts.state = 'queued' and texts.held is distinct from w.held
  and (texts.channel <> 'trigger' or texts.accepted is not null)
returning texts.id, texts.channel
