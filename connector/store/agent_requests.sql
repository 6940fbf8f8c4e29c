-- name: remember
-- Record the first request with a key. A concurrent request with the same key waits until this one is committed.
insert into idempotency_keys (caller, key, body) values (%(caller)s, %(key)s, %(body)s)
on conflict (caller, key) do nothing

-- name: remembered
select body, text from idempotency_keys where caller = %(caller)s and key = %(key)s

-- name: became
update idempotency_keys set text = %(text)s where caller = %(caller)s and key = %(key)s

-- name: newest
-- The id of the ticket's newest text; 0 when it has none.
select coalesce(max(id), 0) from texts where crm = %(crm)s and ticket_id = %(ticket)s
