-- name: columns
-- The columns of every table that can hold text. The suppression list is kept; secrets, migrations and the audit trail
-- hold no number, and the audit trail cannot be changed.
select table_name, array_agg(column_name::text order by column_name), array_agg(udt_name = 'jsonb' order by column_name),
       coalesce(array_agg(column_name::text) filter (where udt_name = 'bytea'), array[]::text[])
from information_schema.columns join information_schema.tables using (table_schema, table_name)
where table_schema = current_schema() and table_type = 'BASE TABLE'
  and table_name not in ('suppressions', 'secrets', 'migrations', 'audit')
  and udt_name in ('text', 'varchar', 'jsonb', 'bytea', '_text')
group by table_name order by table_name

-- name: lock_plans
-- Lock the person's plans, so that they are not fed until the caller's transaction ends.
select id from plans where id in (
    select plan from plan_cases where number = %(hash)s or ticket_id = any(%(tickets)s)) order by id for update

-- name: tickets
-- The tickets of one person: those of texts to the number, of events that name it, and of plan cases for it.
select ticket_id from texts
where sms ->> 'end_user_number' = %(number)s or request ->> 'number' = %(hash)s or number = %(hash)s or event = any(%(events)s)
   or id in (select unnest(array[text, before_text]) from recipients where number = %(hash)s)
union select ticket_id from events where id = any(%(events)s) and ticket_id is not null
union select ticket_id from plan_cases where number = %(hash)s

-- name: texts
-- The texts of these tickets, except those to another number.
select id, state from texts
where ticket_id = any(%(tickets)s) and coalesce(sms ->> 'end_user_number', %(number)s) = %(number)s order by id

-- part: chats
-- The chats of texts that have ended, as the chat events name them.
select chat ->> 'id' from texts where id = any(%(ids)s) and chat is not null

-- name: unheard
-- Whether a chat event of the person is still to be processed.
select from chat_events where (chat_id in ({chats}) or id = any(%(chat_events)s)) and processed_at is null limit 1

-- name: forget_chat_events
-- Empty the chat events of the person's chats, and all that hold the number. One that is still to be processed has nothing left to act upon.
update chat_events set body = null, raw = null, problem = case when problem is not null then 'erased' end,
                       processed_at = coalesce(processed_at, now())
where chat_id in ({chats}) or id = any(%(chat_events)s)

-- name: forget_texts
-- Erase number, message, reasons and idempotency keys. A text that is not written back yet says "erased".
with steps as (
    update history set why = '' where text = any(%(ids)s) and why <> ''
), requests as (
    delete from idempotency_keys where text = any(%(ids)s)
), reasons as (
    delete from reasons where text = any(%(ids)s)
)
update texts set sms = null, number = null, request = null, trace = null, traceparent = null, contradicted = null, accepted = null, wrote = null, reason = null,
                held = null, held_wrote = null,
                why = case when why = '' then '' else 'erased' end,
                write_refused = case when write_refused is not null then 'erased' end
where id = any(%(ids)s)

-- name: forget_chats
-- Forget the chats of these texts, and what was written of them to the tickets.
with forgotten as (
    select chat_id, status, ended from chats
    where chat_id in (select chat ->> 'id' from texts where id = any(%(ids)s) and chat is not null) order by chat_id for update
), {forget_chats}

-- name: forget_bulk_actions
-- Erase the reasons of bulk actions on these texts, and searches for the number. Return their ids.
update bulk_actions set why = case when why = '' then '' else 'erased' end,
    query = case when search ->> 'number' = %(hash)s then 'erased' else query end,
    search = case when search ->> 'number' = %(hash)s then jsonb_set(search, array['number'], '"erased"') else search end
where search ->> 'number' = %(hash)s or id in (select bulk from bulk_items where text = any(%(ids)s))
returning id

-- name: forget_number
-- Erase the number's hash from texts that were sent to another one, and that it was looked up.
with lookups as (
    delete from person_lookups where hash = %(hash)s
)
update texts set number = null where number = %(hash)s

-- name: forget_events
-- Empty all events about these tickets, and all events that hold the number. The id of an unreadable event is a hash of
-- its contents and is replaced.
update events set body = null, raw = null, changed_by = null, problem = case when problem is not null then 'erased' end,
                 event_id = case when event_id ~ '^(unreadable|unnamed):' then 'erased:' || id else event_id end
where (body is not null or raw is not null or changed_by is not null or problem is not null)
  and (ticket_id = any(%(tickets)s) or id = any(%(events)s))

-- name: forget_cases
-- Remove the person's cases from their plans, so that none of them is texted.
delete from plan_cases
where number = %(hash)s or text = any(%(ids)s) or ticket_id = any(%(tickets)s) and number is null
returning plan, ticket_id

-- name: report
select report from plans where id = %(plan)s

-- name: write_report
update plans set report = %(report)s where id = %(plan)s
