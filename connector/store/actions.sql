-- name: repeat_write_back
-- Make an outcome due: one that is pending is tried at once, one that was written or given up counts as a new one.
update texts set outcome = outcome + (outcome <= written)::int, write_attempts = 0,
                 write_refused = case when outcome > written then write_refused end
where id = %(id)s and outcome > 0 and state not in ('received', 'queued', 'sending') returning channel

-- name: request
-- What a text was asked with. `erased`: its words are not known any more, and no rule has them.
select crm, ticket_id, state, rule, request, channel <> 'trigger' and request is null as erased
from texts where id = %(id)s

-- name: number
-- The number that a text was meant for; null where it is not known.
select sms ->> 'end_user_number' from texts where id = %(id)s
