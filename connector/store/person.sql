-- name: number_of
-- The number behind a hash, as long as a text or a look-up has it.
select coalesce((select sms ->> 'end_user_number' from texts where number = %(hash)s and sms is not null limit 1),
                (select number from person_lookups where hash = %(hash)s))

-- name: remember
-- Remember a number that was looked up.
insert into person_lookups (hash, number) values (%(hash)s, %(number)s) on conflict (hash) do update set at = now()

-- name: known
-- Whether anything is stored about a number.
select exists (select from texts where number = %(hash)s)
    or exists (select from suppressions where number = %(number)s)
    or exists (select from opt_out_reviews where number = %(number)s)
    or exists (select from opt_out_words where number = %(hash)s)
    or exists (select from record_fields where number = %(hash)s)

-- name: hashes_of_ticket
-- The numbers that texts of a ticket are for, as keyed hashes, the latest first.
select number from texts where crm = %(crm)s and ticket_id = %(ticket)s and number is not null
group by number order by max(id) desc

-- name: has_texts
select exists (select from texts where crm = %(crm)s and ticket_id = %(ticket)s)

-- name: tickets_of
-- The tickets of texts to a number.
select distinct crm, ticket_id from texts where number = %(hash)s order by crm, ticket_id

-- name: texts
-- The texts to a number: also those of its tickets that name no number. Or, without a
-- number, all texts of the tickets. Newest first.
with found as (
    select id from texts where number = %(hash)s
    union select texts.id from unnest(%(crms)s::text[], %(tickets)s::text[]) as mine (crm, ticket_id)
    join texts on texts.crm = mine.crm and texts.ticket_id = mine.ticket_id
    where texts.number is null or %(hash)s::text is null
)
select texts.id, texts.crm, texts.ticket_id as ticket, texts.channel, texts.rule, texts.state, texts.code, texts.why,
       texts.received_at, texts.changed_at, texts.same_as, texts.contradicted, texts.trace, {present_chat},
       texts.sms ->> 'end_user_number' as sent_to, texts.sms ->> 'outbound_number' as sent_from,
       texts.sms ->> 'message' as message, events.event_id, events.changed_by,
       coalesce(texts.request ->> 'agent_name', texts.request ->> 'agent_email') as agent, texts.request ->> 'override' as override,
       texts.request -> 'overrides' as overrides, (texts.request ->> 'send_at')::timestamptz as send_at,
       texts.request ->> 'reason_name' as reason_name, texts.outcome, texts.written, texts.write_refused,
       (select refused from chat_updates where chat_updates.text = texts.id) as chat_status_refused
from found join texts on texts.id = found.id join events on events.id = texts.event
order by texts.id desc limit %(most)s

-- name: history
-- Every transition of these texts, oldest first.
select text, at, from_state as "from", to_state as "to", why from history where text = any(%(ids)s) order by at, text

-- name: opt_outs
-- The number's entries on the suppression list.
select source, origin, why, added_by, added_at, words, chat, said_at, to_enter, entered_at
from suppressions where number = %(number)s order by added_at, source, origin

-- name: last_word
-- The newest word by which the number opted out or in.
select opted_out, said_at from opt_out_words where number = %(hash)s

-- name: reviews
-- Messages of the number that may be opt-outs.
select id, crm, ticket_id as ticket, chat, words, said_at, due_at, decided_at, decided_by, decision, why
from opt_out_reviews where number = %(number)s order by id limit %(most)s

-- name: record_fields
-- The opt-out fields and the marks of invalid numbers in the CRM that concern the number.
select crm, ticket_id as ticket, kind, value, version <= written as written, refused
from record_fields where number = %(hash)s order by crm, ticket_id, kind limit %(most)s

-- name: actions
-- What people did about these, oldest first.
select audit.at, audit.who, audit.source, audit.what, audit.about, coalesce(audit_notes.why, '') as why
from audit left join audit_notes on audit_notes.audit = audit.id
where audit.about = any(%(abouts)s) order by audit.id limit %(most)s
