-- name: remember
-- Whoever comes first with a key; who comes at the same moment waits until that is committed.
insert into idempotency (caller, key, body) values (%(caller)s, %(key)s, %(body)s)
on conflict (caller, key) do nothing

-- name: remembered
select body, text from idempotency where caller = %(caller)s and key = %(key)s

-- name: became
update idempotency set text = %(text)s where caller = %(caller)s and key = %(key)s

-- name: newest
-- The ticket's newest text; 0: none.
select coalesce(max(id), 0) from text where crm = %(crm)s and ticket_id = %(ticket)s
