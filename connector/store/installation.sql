-- name: identity
-- The server's system identifier, its timeline (changed by a point-in-time recovery or a failover), and the database's
-- oid (different in each copy restored from pg_dump).
select (select system_identifier from pg_control_system()), (select timeline_id from pg_control_checkpoint()),
       (select oid from pg_database where datname = current_database())

-- name: database_number
-- The database's oid alone, which every role may read.
select oid from pg_database where datname = current_database()

-- name: known
-- The identity that was recorded, locked until the transaction ends.
select identity from installation for update

-- name: remember
insert into installation (identity) values (%(identity)s) on conflict (one) do update set identity = excluded.identity

-- part: open_cases
-- Cases of back-fills that have no text yet.
plan_cases join plans on plans.id = plan_cases.plan and plans.state in ('planned', 'canary', 'cooling', 'running', 'paused')
    and plan_cases.text is null

-- name: waiting
-- Whether anything is waiting to be sent: a text, the second try of one, or a case of a back-fill.
select exists (select from texts where state in ('received', 'queued'))
    or exists (select from texts where state = 'unknown' and not_before is not null and not tried_again)
    or exists (select from {open_cases} where plan_cases.skip is null)

-- name: mark
-- Mark what may have been sent since the backup. A text that is not due yet is left as it is, unless it waits for a
-- person, who may have decided early. An unknown text gets no second try, and a case of a back-fill no text.
with marked as (
    update texts set restored_at = now()
    where state in ('received', 'queued') and (not_before is null or not_before <= now() or state = 'received' and revision > 0 and number is not null)
), tried as (
    update texts set tried_again = true where state = 'unknown' and not tried_again
)
update plan_cases set skip = %(skip)s
where skip is null and (plan, position) in (select plan_cases.plan, plan_cases.position from {open_cases})

-- name: marked
-- How many texts and cases are marked.
select (select count(*) from texts where state in ('received', 'queued') and restored_at is not null) as texts,
       (select count(*) from {open_cases} where plan_cases.skip = %(skip)s) as cases

-- name: unmark
-- Nothing was sent since the backup.
with cases as (
    update plan_cases set skip = null
    where skip = %(skip)s and (plan, position) in (select plan_cases.plan, plan_cases.position from {open_cases})
)
update texts set restored_at = null where state in ('received', 'queued') and restored_at is not null
