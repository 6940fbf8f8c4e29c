-- name: register
-- Record the fingerprints that a kind of process starts with; those that differ from its last start. Ordered by name,
-- to avoid deadlocks.
with given as (
    select * from unnest(%(names)s::text[], %(fingerprints)s::text[]) as g (name, fingerprint)
), old as (
    select name, fingerprint from setting_versions where process = %(process)s
), changed as (
    insert into setting_versions as v (process, name, fingerprint)
    select %(process)s, name, fingerprint from given order by name
    on conflict (process, name) do update set fingerprint = excluded.fingerprint
    where v.fingerprint <> excluded.fingerprint
    returning v.name, v.fingerprint
)
select changed.name, old.fingerprint, changed.fingerprint from changed join old on old.name = changed.name
order by changed.name
