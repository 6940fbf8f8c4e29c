-- name: known
-- The facts about the numbers and reasons of these texts, with one index lookup for each. Where the text itself has the
-- number, the text before it counts.
select d.id, s.source, s.at as suppressed_at, s.words, s.chat is not null as asked, review.id as review, review.said_at,
       case when r.text = d.id then r.before_text else r.text end as texted_by,
       case when r.text <> d.id then r.at when r.before_text is not null then r.before_at end as texted_at,
       held.text as same_reason, held.state as same_reason_state, held.notified as same_reason_notified,
       coalesce(d.meant_for <> d.hash, false) as other_number
from jsonb_to_recordset(%(asked)s) as d (
    id bigint, crm text, ticket text, number text, hash text, rule text, reason text, meant_for text)
left join lateral (
    -- The ticket itself speaks for its own entry: its opt-out field has just been read.
    select source, coalesce(said_at, added_at) as at, words, chat from suppressions
    where suppressions.number = d.number and suppressions.origin <> d.crm || '/' || d.ticket
    order by array_position(array['word', 'person', 'platform', 'crm'], source) limit 1
) s on true
left join lateral (
    select id, said_at from opt_out_reviews open where open.number = d.number and decided_at is null order by id limit 1
) review on true
left join lateral (select text, at, before_text, before_at from recipients where recipients.number = d.hash limit 1) r on true
left join lateral (
    select texts.id as text, texts.state, texts.notified > 0 as notified from reasons join texts on texts.id = reasons.text
    where reasons.crm = d.crm and reasons.rule = d.rule and reasons.reason = d.reason limit 1
) held on true

-- name: claim_numbers
-- Claim each number for one text for its window; the texts that succeeded. Ordered by number, to avoid deadlocks. The
-- inserted `before_at` carries the start of the window: the number must have had no text since then.
insert into recipients (number, text, at, before_at)
select hash, id, %(now)s, free_before
from jsonb_to_recordset(%(claims)s) as c (id bigint, hash text, free_before timestamptz)
order by hash
on conflict (number) do update set
    before_text = case when recipients.text = excluded.text then recipients.before_text else recipients.text end,
    before_at = case when recipients.text = excluded.text then recipients.before_at else recipients.at end,
    text = excluded.text,
    at = excluded.at
where recipients.text = excluded.text or recipients.at <= excluded.before_at
returning text

-- name: texted
-- Record that a number was texted after all.
insert into recipients (number, text, at) values (%(hash)s, %(text)s, now())
on conflict (number) do update set text = excluded.text, at = excluded.at, before_text = recipients.text,
    before_at = recipients.at
where recipients.text <> excluded.text

-- name: forget
-- Erase when a number was texted.
delete from recipients where number = %(hash)s
