-- name: current
-- The pauses that are in force, the widest first.
select scope, name, why, paused_by, since, ends_at from operator_pauses
where ends_at is null or ends_at > clock_timestamp() order by scope <> 'all', scope, name

-- name: covering
-- The pause of each of these texts that one covers.
select texts.id, pause.* from texts cross join lateral ({pause_of_text}) pause where texts.id = any(%(ids)s)

-- name: pause
-- Begin a pause. One that is in force keeps its start.
insert into operator_pauses as p (scope, name, why, paused_by, ends_at)
values (%(scope)s, %(name)s, %(why)s, %(paused_by)s, %(ends_at)s)
on conflict (scope, name) do update set
    why = excluded.why, paused_by = excluded.paused_by, ends_at = excluded.ends_at,
    since = case when p.ends_at <= clock_timestamp() then excluded.since else p.since end
returning scope, name, why, paused_by, since, ends_at

-- name: resume
-- End a pause. No row: there was none in force.
with ended as (
    delete from operator_pauses where scope = %(scope)s and name = %(name)s returning ends_at
)
select true from ended where ends_at is null or ends_at > clock_timestamp()
