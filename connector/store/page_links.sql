-- name: secret
select value from secret where name = %(name)s

-- name: make_secret
-- Whoever comes first makes it; the others take his.
insert into secret (name, value) values (%(name)s, %(value)s) on conflict (name) do nothing

-- name: use
-- One more link that was opened; nothing where it was before.
insert into used_link (id, expires_at) values (%(id)s, to_timestamp(%(until)s)) on conflict (id) do nothing
