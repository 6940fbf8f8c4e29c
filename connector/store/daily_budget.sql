-- name: lock
-- Lock the counters of these numbers and days, and make those that are missing. Ordered, to avoid deadlocks. The update
-- changes nothing: it locks the row and returns its newest version.
insert into daily_budgets (number, day)
select number, day from jsonb_to_recordset(%(days)s) as d (number text, day date) order by number, day
on conflict (number, day) do update set texts = daily_budgets.texts
returning number, day, texts, segments

-- name: take_corrections
-- Take the corrections of counters that the caller has locked, to count them in.
with taken as (
    delete from daily_budget_corrections c using jsonb_to_recordset(%(days)s) as d (number text, day date)
    where c.number = d.number and c.day = d.day
    returning c.number, c.day, c.texts, c.segments
)
select number, day, sum(texts)::int, sum(segments)::int from taken group by number, day

-- name: keep
-- Store counters that the caller has locked.
update daily_budgets b set texts = r.texts, segments = r.segments
from jsonb_to_recordset(%(rows)s) as r (number text, day date, texts int, segments int)
where b.number = r.number and b.day = r.day

-- name: holding
-- Those of these texts that hold a share.
select id from texts where id = any(%(ids)s) and budget_share is not null and not budget_returned

-- name: shares
-- The shares that these texts hold.
select id, budget_share ->> 'number', (budget_share ->> 'day')::date, (budget_share ->> 'segments')::int
from texts where id = any(%(ids)s) and budget_share is not null and not budget_returned

-- name: charge_again
-- Count a text again that had given its share back.
with charged as (
    update texts set budget_returned = false where id = %(id)s and budget_returned returning budget_share as share
)
insert into daily_budget_corrections (number, day, texts, segments)
select share ->> 'number', (share ->> 'day')::date, 1, (share ->> 'segments')::int from charged

-- name: used
-- The counters with their corrections, as committed.
select d.number, coalesce(b.texts, 0) + coalesce(c.texts, 0), coalesce(b.segments, 0) + coalesce(c.segments, 0)
from jsonb_to_recordset(%(days)s) as d (number text, day date)
left join daily_budgets b on b.number = d.number and b.day = d.day
left join lateral (
    select sum(texts)::int as texts, sum(segments)::int as segments from daily_budget_corrections
    where number = d.number and day = d.day
) c on true
