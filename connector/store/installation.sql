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

-- name: waiting
-- Whether any text is waiting to be sent.
select exists (select from texts where state in ('received', 'queued'))
