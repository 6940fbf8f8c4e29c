-- name: over
-- The texts that have an outcome.
select id, ticket_id, state, why, (chat ->> 'id')::bigint, changed_at
from texts where id = any(%(texts)s) and state = any(%(states)s) order by id
