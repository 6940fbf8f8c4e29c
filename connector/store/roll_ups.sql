-- part: rolled_up_texts
-- All counts, with those that are not summed up yet.
(select period, step, channel, rule, code, bucket, texts from roll_ups where period >= %(since)s and period < %(until)s
 union all
 select period, step, channel, rule, code, bucket, texts from roll_up_changes where period >= %(since)s and period < %(until)s
) as counted

-- part: start
date_bin(%(step)s * interval '1 second', period, timestamptz 'epoch')

-- name: counts
-- Texts by state, channel, rule and refusal code. Those without an outcome are found by their indexes.
select state, channel, rule, code, sum(texts)::bigint as texts from (
    select step as state, channel, rule, code, texts from {rolled_up_texts} where step <> 'written'
    union all
    select state, channel, coalesce(rule, ''), coalesce(code, ''), 1 from texts
    where state in ('received', 'queued') and changed_at >= %(since)s and changed_at < %(until)s
    union all
    select state, channel, coalesce(rule, ''), coalesce(code, ''), 1 from texts
    where state = 'sending' and changed_at >= %(since)s and changed_at < %(until)s
) as texts
group by state, channel, rule, code having sum(texts) <> 0 order by state, channel, rule, code

-- name: series
-- Outcomes over time, by state, channel and refusal code.
select {start} as start, step as state, channel, code, sum(texts)::bigint as texts
from {rolled_up_texts} where step <> 'written'
group by 1, 2, 3, 4 having sum(texts) <> 0 order by 1, 2, 3, 4

-- name: latencies
-- Latencies over time, as histograms.
select {start} as start, kind, bucket, sum(texts)::bigint as texts
from {rolled_up_texts}
cross join lateral (values ('sent', step = 'sent'), ('written', step = 'written'),
                           ('click', channel = 'agent' and step <> 'written')) as kinds (kind, matches)
where matches group by 1, 2, 3 having sum(texts) <> 0 order by 1, 2, 3

-- name: sum_up
-- Add the changes to the counts, and sum the counts of old periods up to hours. Changes that are added meanwhile stay.
with added as (
    delete from roll_up_changes returning period, step, channel, rule, code, bucket, texts
), fine as (
    delete from roll_ups
    where date_bin('1 hour', period, timestamptz 'epoch') <> period and period < now() - interval '2 days'
    returning period, step, channel, rule, code, bucket, texts
)
insert into roll_ups as counted (period, step, channel, rule, code, bucket, texts)
select case when period < now() - interval '2 days' then date_bin('1 hour', period, timestamptz 'epoch') else period end,
       step, channel, rule, code, bucket, sum(texts)
from (select * from added union all select * from fine) as changes
group by 1, 2, 3, 4, 5, 6 having sum(texts) <> 0
on conflict (period, step, channel, rule, code, bucket) do update set texts = counted.texts + excluded.texts
