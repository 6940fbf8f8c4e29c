-- name: identity
-- The server's own number, its line of history (another one after a recovery to a point in time, or a failover), and the
-- database's own number (another one in each copy that pg_dump made).
select (select system_identifier from pg_control_system()), (select timeline_id from pg_control_checkpoint()),
       (select oid from pg_database where datname = current_database())

-- name: database_number
-- The last of these, which everybody may know.
select oid from pg_database where datname = current_database()

-- name: known
-- What it was so far; nobody else looks meanwhile.
select identity from installation for update

-- name: remember
insert into installation (identity) values (%(identity)s) on conflict (one) do update set identity = excluded.identity

-- name: waiting
-- Whether any text waits to be sent.
select exists (select from texts where state in ('received', 'queued'))
