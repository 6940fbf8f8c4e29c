-- name: of_chat
-- The ticket and the number of the text that opened this chat.
select crm, ticket_id, sms ->> 'end_user_number' from texts
where chat ->> 'id' = %(chat)s order by sms is null, id desc limit 1

-- name: of_number
-- The ticket of the number's newest text.
select texts.crm, texts.ticket_id from recipients join texts on texts.id = recipients.text where recipients.number = %(number)s

-- name: newest_word
-- Keep this word if it is newer than all that the number said before. Of two at the same moment, the opt-out counts.
insert into opt_out_words as w (number, opted_out, said_at) values (%(number)s, %(opted_out)s, %(said_at)s)
on conflict (number) do update set opted_out = excluded.opted_out, said_at = excluded.said_at
    where excluded.said_at > w.said_at or excluded.said_at = w.said_at and excluded.opted_out and not w.opted_out
returning number

-- name: waiting
-- Texts to this number that wait, as far as their number is known; and those scheduled for this ticket, if it is not.
-- Another text without a number is about to be decided: the policy finds the opt-out then.
select id, state = 'queued' as decided from texts where number = %(hash)s and state in ('received', 'queued')
union
select id, false from texts where crm = %(crm)s and ticket_id = %(ticket)s and state = 'received' and number is null
    and not_before > now()
order by id

-- name: ask_person
-- A message that a person has to decide; no row if it is known already.
insert into opt_out_reviews (key, number, crm, ticket_id, chat, words, said_at, due_at, limit_at)
values (%(key)s, %(number)s, %(crm)s, %(ticket)s, %(chat)s, %(words)s, %(said_at)s, %(due_at)s, %(limit_at)s)
on conflict (key) do nothing
returning id

-- part: review
select id, number, crm, ticket_id, chat, words, said_at, due_at, limit_at, decided_at, decided_by, decision, why,
       decided_at is null and due_at < now() as overdue
from opt_out_reviews

-- name: reviews
{review}
where decided_at is null or not %(pending)s
order by decided_at is not null, case when decided_at is null then said_at end, decided_at desc, id limit %(most)s

-- name: review
{review} where id = %(id)s

-- name: decide
-- Decide an open review.
update opt_out_reviews set decided_at = now(), decision = %(decision)s, decided_by = %(by)s, why = %(why)s
where id = %(id)s and decided_at is null
returning number, crm, ticket_id, chat, said_at

-- name: decide_others
-- The number has opted out: its other reviews are decided too.
update opt_out_reviews set decided_at = now(), decision = %(decision)s, decided_by = %(by)s, why = %(why)s
where number = %(number)s and decided_at is null

-- name: open_reviews
select count(*) as open, count(*) filter (where due_at < now()) as overdue, min(id) filter (where due_at < now()) as oldest
from opt_out_reviews where decided_at is null

-- name: has_open
select from opt_out_reviews where number = %(number)s and decided_at is null

-- name: forget_reviews
-- Delete the reviews of a number, and those of its tickets that named none.
delete from opt_out_reviews where number = %(number)s or number is null and ticket_id = any(%(tickets)s)

-- name: forget_word
delete from opt_out_words where number = %(hash)s
