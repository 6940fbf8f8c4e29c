-- name: opt_out
-- Set the field. What the field was before the connector's first write is read again if an opt-in was written since.
insert into opt_out_fields as f (crm, ticket_id, number, opted_out) values (%(crm)s, %(ticket)s, %(number)s, true)
on conflict (crm, ticket_id) do update set
    number = excluded.number,
    opted_out = true,
    before = case when f.opted_out or f.version > f.written then f.before end,
    version = f.version + 1,
    due_at = now(), attempts = 0, refused = null

-- name: opt_in
-- Clear the field, unless it was set before the connector set it.
update opt_out_fields set opted_out = false, version = version + 1, due_at = now(), attempts = 0, refused = null
where number = %(number)s and opted_out and before is not true

-- name: claim
-- Claim values that are due.
update opt_out_fields f set claim_token = %(token)s, claim_until = now() + %(seconds)s * interval '1 second'
where f.version > f.written and (f.crm, f.ticket_id) in (
    select crm, ticket_id from opt_out_fields
    where crm = %(crm)s and version > written and due_at <= now() and (claim_until is null or claim_until < now())
    order by due_at limit %(most)s for update skip locked)
returning f.ticket_id, f.opted_out, f.before, f.version, f.attempts

-- name: keep_before
update opt_out_fields f set before = v.before
from jsonb_to_recordset(%(values)s) as v (ticket_id text, before boolean)
where f.crm = %(crm)s and f.ticket_id = v.ticket_id and f.before is null

-- name: record
-- The end of an attempt. Under a claim that is not the row's any more, the CRM may have the older value: write again.
update opt_out_fields f set
    written = case when f.claim_token is distinct from %(token)s then least(f.written, f.version - 1)
                   when r.after is null then greatest(f.written, r.version) else f.written end,
    attempts = case when r.after is null then 0 else f.attempts + 1 end,
    due_at = case when f.claim_token = %(token)s and f.version = r.version
             then now() + coalesce(r.after, 0) * interval '1 second' else now() end,
    refused = r.refused,
    claim_token = case when f.claim_token = %(token)s then null else f.claim_token end,
    claim_until = case when f.claim_token = %(token)s then null else f.claim_until end
from jsonb_to_recordset(%(results)s) as r (ticket_id text, version int, after double precision, refused text)
where f.crm = %(crm)s and f.ticket_id = r.ticket_id

-- name: refused
select count(*) from opt_out_fields where refused is not null and version > written

-- name: forget_written
delete from opt_out_fields where number = %(number)s and version <= written

-- name: forget_number
update opt_out_fields set number = null where number = %(number)s
