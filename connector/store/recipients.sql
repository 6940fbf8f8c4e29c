-- name: known
-- What there is to know about the numbers and reasons of these texts; one look into an index for each.
select d.id, (s.number is not null) as suppressed, r.text as texted_by, r.at as texted_at,
       held.text as same_reason, held.state as same_reason_state, held.told as same_reason_told,
       coalesce(d.meant_for <> d.hash, false) as other_number
from jsonb_to_recordset(%(asked)s) as d (
    id bigint, crm text, number text, hash text, rule text, reason text, meant_for text)
left join lateral (select number from suppressions where suppressions.number = d.number limit 1) s on true
left join lateral (select text, at from recipients where recipients.number = d.hash limit 1) r on true
left join lateral (
    select texts.id as text, texts.state, texts.told > 0 as told from reasons join texts on texts.id = reasons.text
    where reasons.crm = d.crm and reasons.rule = d.rule and reasons.reason = d.reason limit 1
) held on true

-- name: claim_numbers
-- A number is one text's for its window. In the order of the numbers: no deadlocks. Those that claimed it. `before_at`
-- carries until when the number must have been left alone, for want of another place in what is excluded.
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
-- A number was texted after all.
insert into recipients (number, text, at) values (%(hash)s, %(text)s, now())
on conflict (number) do update set text = excluded.text, at = excluded.at, before_text = recipients.text,
    before_at = recipients.at
where recipients.text <> excluded.text

-- name: suppress
-- Nobody texts this number any more.
insert into suppressions (number, why, added_by) values (%(number)s, %(why)s, %(by)s)
on conflict (number) do nothing

-- name: allow
-- It may be texted again.
delete from suppressions where number = %(number)s

-- name: suppressed
-- Newest first.
select number, why, added_by, added_at from suppressions order by added_at desc, number limit %(most)s

-- name: forget
-- One person's number, where it was texted.
delete from recipients where number = %(hash)s
