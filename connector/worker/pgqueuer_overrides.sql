-- name: end_own
-- Jobs that are done leave the queue, those that failed are kept in it; only jobs of the manager that says so. A row of
-- the queue's log for each.
with d as (
    select * from unnest($1::bigint[], $2::pgqueuer_status[], $3::jsonb[]) as d (id, status, traceback)
), done as (
    delete from pgqueuer using d where pgqueuer.id = d.id and d.status <> 'failed' and queue_manager_id = $4::uuid
    returning pgqueuer.id, entrypoint, priority, d.status, d.traceback
), failed as (
    update pgqueuer set status = 'failed', updated = now(), queue_manager_id = null
    from d where pgqueuer.id = d.id and d.status = 'failed' and queue_manager_id = $4::uuid
    returning pgqueuer.id, entrypoint, priority, d.status, d.traceback
)
insert into pgqueuer_log (job_id, status, entrypoint, priority, traceback)
select id, d.status, entrypoint, priority, d.traceback from (select * from done union all select * from failed) d

-- name: retry_own
-- A job goes back into the queue for so long, if it is still the manager's that says so.
with again as (
    update pgqueuer set status = 'queued', execute_after = now() + $2::interval, attempts = attempts + 1,
                        updated = now(), queue_manager_id = null
    where id = $1::bigint and queue_manager_id = $4::uuid
    returning id, entrypoint, priority
)
insert into pgqueuer_log (job_id, status, entrypoint, priority, traceback)
select id, 'queued', entrypoint, priority, $3::jsonb from again

-- name: keep_own_alive
-- Jobs that a manager still has are not handed on.
update pgqueuer set heartbeat = now() where id = any($1::bigint[]) and queue_manager_id = $2::uuid
