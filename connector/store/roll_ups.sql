-- name: counts
-- Texts by state, channel, rule and refusal code, of the hours from `since` until `until`.
select state, channel, rule, code, sum(texts)::bigint as texts from roll_ups
where hour >= %(since)s and hour < %(until)s
group by state, channel, rule, code having sum(texts) <> 0 order by state, channel, rule, code

-- name: sum_up
-- Replace the rows of each hour with new rows by their sums. Rows that are added meanwhile stay new.
with changed as (
    delete from roll_ups where hour in (select distinct hour from roll_ups where not summed)
    returning hour, state, channel, rule, code, texts
)
insert into roll_ups (hour, state, channel, rule, code, texts, summed)
select hour, state, channel, rule, code, sum(texts), true from changed
group by hour, state, channel, rule, code having sum(texts) <> 0
