-- name: secret
select value from secrets where name = %(name)s

-- name: make_secret
-- Whoever comes first makes it; the others take his.
insert into secrets (name, value) values (%(name)s, %(value)s) on conflict (name) do nothing

-- name: use
-- One more link that was opened; nothing where it was before.
insert into used_links (id, expires_at) values (%(id)s, to_timestamp(%(until)s)) on conflict (id) do nothing
