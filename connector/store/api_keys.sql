-- name: add
-- Add a key; no row when the name is taken.
insert into api_keys (name, hash, rights, per_minute) values (%(name)s, %(hash)s, %(rights)s, %(per_minute)s)
on conflict (name) do nothing

-- name: revoke
delete from api_keys where name = %(name)s

-- name: listed
select name, rights, per_minute, added_at from api_keys order by name

-- name: known
-- The record of the key with this hash.
select name, rights, per_minute, added_at from api_keys where hash = %(hash)s

-- name: use
-- Count one request of this caller in the current minute.
insert into api_use (caller, minute, used) values (%(caller)s, date_trunc('minute', now()), 1)
on conflict (caller) do update set
    used = case when api_use.minute = excluded.minute then api_use.used + 1 else 1 end, minute = excluded.minute
returning used, 60 - extract(second from now())::float8
