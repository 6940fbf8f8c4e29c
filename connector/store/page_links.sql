-- name: secret
select value from secrets where name = %(name)s

-- name: make_secret
-- Store the secret; a concurrent process uses the one that was stored first.
insert into secrets (name, value) values (%(name)s, %(value)s) on conflict (name) do nothing

-- name: use
-- Record the use of a link; no row when it was used before.
insert into used_links (id, expires_at) values (%(id)s, to_timestamp(%(until)s)) on conflict (id) do nothing
