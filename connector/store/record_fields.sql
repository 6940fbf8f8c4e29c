-- part: set_again
number = excluded.number,
value = true,
before = case when f.value or f.version > f.written then f.before end,
version = f.version + 1,
due_at = now(), attempts = 0, refused = null

-- name: opt_out
-- Set the field. What the field was before the connector's first write is read again if an opt-in was written since.
insert into record_fields as f (crm, ticket_id, kind, number, value)
values (%(crm)s, %(ticket)s, 'opt_out', %(number)s, true)
on conflict (crm, ticket_id, kind) do update set {set_again}

-- name: opted_out
-- Set the field of the tickets of these texts, whose customers have opted out.
insert into record_fields as f (crm, ticket_id, kind, number, value)
select distinct on (crm, ticket_id) crm, ticket_id, 'opt_out', number, true
from texts where id = any(%(texts)s) and number is not null order by crm, ticket_id, id desc
on conflict (crm, ticket_id, kind) do update set {set_again}

-- name: opt_in
-- Clear the field, unless it was set before the connector set it.
update record_fields set value = false, version = version + 1, due_at = now(), attempts = 0, refused = null
where number = %(number)s and kind = 'opt_out' and value and before is not true

-- name: number_invalid
-- Set the field of the tickets of these texts, whose numbers cannot be texted.
insert into record_fields as f (crm, ticket_id, kind, number, value)
select distinct on (crm, ticket_id) crm, ticket_id, 'phone_invalid', number, true
from texts where id = any(%(texts)s) order by crm, ticket_id, id desc
on conflict (crm, ticket_id, kind) do update set {set_again}

-- name: number_valid
-- Clear the field of the tickets of these texts, which were sent, and of other tickets that it was set for by the same
-- number; unless it was set before the connector set it.
update record_fields set value = false, version = version + 1, due_at = now(), attempts = 0, refused = null
where value and before is not true and (crm, ticket_id, kind) in (
    select crm, ticket_id, 'phone_invalid' from texts where id = any(%(texts)s)
    union all
    select f.crm, f.ticket_id, f.kind from texts join record_fields f on f.number = texts.number
    where texts.id = any(%(texts)s) and f.kind = 'phone_invalid')

-- name: found_set
-- These tickets show the field as set. A text that is sent to one clears it, if the connector had set it for another
-- ticket of the same record.
insert into record_fields as f (crm, ticket_id, kind, value, written)
select crm, ticket_id, 'phone_invalid', true, 1
from unnest(%(crms)s::text[], %(tickets)s::text[]) as seen (crm, ticket_id) order by crm, ticket_id
on conflict (crm, ticket_id, kind) do update
set value = true, before = null, version = f.version + 1, written = f.version + 1, due_at = now()
where not f.value and f.version <= f.written

-- name: claim
-- Claim values that are due.
update record_fields f set claim_token = %(token)s, claim_until = now() + %(seconds)s * interval '1 second'
where f.version > f.written and (f.crm, f.ticket_id, f.kind) in (
    select crm, ticket_id, kind from record_fields
    where crm = %(crm)s and kind = %(kind)s and version > written and due_at <= now()
      and (claim_until is null or claim_until < now())
    order by due_at limit %(most)s for update skip locked)
returning f.ticket_id, f.value, f.before, f.version, f.attempts

-- name: keep_before
-- Keep what the fields were before the first write, and the records that they belong to. A field that the connector has
-- set for another ticket of the same record was not set before.
update record_fields f set record = v.record, before = v.value and not exists (
    select from record_fields other
    where other.crm = f.crm and other.kind = f.kind and other.record = v.record and other.ticket_id <> f.ticket_id
      and other.value and not other.before and other.written > 0)
from jsonb_to_recordset(%(states)s) as v (ticket_id text, record text, value boolean)
where f.crm = %(crm)s and f.kind = %(kind)s and f.ticket_id = v.ticket_id and f.before is null
returning f.ticket_id, f.before

-- name: record
-- The end of an attempt. Under a claim that is not the row's any more, the CRM may have the older value: write again.
update record_fields f set
    written = case when f.claim_token is distinct from %(token)s then least(f.written, f.version - 1)
                   when r.after is null then greatest(f.written, r.version) else f.written end,
    attempts = case when r.after is null then 0 else f.attempts + 1 end,
    due_at = case when f.claim_token = %(token)s and f.version = r.version
             then now() + coalesce(r.after, 0) * interval '1 second' else now() end,
    refused = r.refused,
    claim_token = case when f.claim_token = %(token)s then null else f.claim_token end,
    claim_until = case when f.claim_token = %(token)s then null else f.claim_until end
from jsonb_to_recordset(%(results)s) as r (ticket_id text, version int, after double precision, refused text)
where f.crm = %(crm)s and f.kind = %(kind)s and f.ticket_id = r.ticket_id

-- name: cleared
-- A mark of a number that is cleared on a record is cleared for all tickets of the record.
update record_fields f set value = false
from record_fields cleared
where cleared.crm = %(crm)s and cleared.kind = 'phone_invalid' and cleared.ticket_id = any(%(tickets)s)
  and not cleared.value and cleared.version <= cleared.written
  and f.crm = cleared.crm and f.kind = cleared.kind and f.record = cleared.record
  and f.value and not f.before and f.version <= f.written

-- part: refused_now
refused is not null and version > written

-- name: refused
select kind, count(*) from record_fields where {refused_now} group by kind

-- name: refusals
-- The values that a CRM refuses, those that it has refused most often first.
select crm, ticket_id, record, kind, value, refused as why, attempts, due_at as next_at from record_fields
where {refused_now} order by attempts desc, crm, ticket_id, kind limit %(most)s

-- name: forget_written
delete from record_fields
where version <= written and (number = %(number)s or number is null and ticket_id = any(%(tickets)s))

-- name: forget_number
update record_fields set number = null where number = %(number)s
