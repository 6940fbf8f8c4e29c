-- name: end_own
-- Remove finished jobs from the queue and mark failed ones; only jobs that this manager owns. Each is added to the
-- queue's log.
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
-- Put a job back into the queue with a delay, if this manager still owns it.
with again as (
    update pgqueuer set status = 'queued', execute_after = now() + $2::interval, attempts = attempts + 1,
                        updated = now(), queue_manager_id = null
    where id = $1::bigint and queue_manager_id = $4::uuid
    returning id, entrypoint, priority
)
insert into pgqueuer_log (job_id, status, entrypoint, priority, traceback)
select id, 'queued', entrypoint, priority, $3::jsonb from again

-- name: keep_own_alive
-- Renew the heartbeat of the jobs that this manager owns, so that they are not given to another worker.
update pgqueuer set heartbeat = now() where id = any($1::bigint[]) and queue_manager_id = $2::uuid
