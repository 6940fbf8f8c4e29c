-- name: over
-- Those of these texts that have their outcome.
select id, ticket_id, state, why, (chat ->> 'id')::bigint, changed_at
from texts where id = any(%(texts)s) and state = any(%(states)s) order by id
