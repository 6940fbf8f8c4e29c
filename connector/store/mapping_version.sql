-- name: register
-- Record the mapping of the process that started last.
insert into mapping_versions as m (crm, fingerprint) values (%(crm)s, %(fingerprint)s)
on conflict (crm) do update set fingerprint = excluded.fingerprint, since = now()
where m.fingerprint <> excluded.fingerprint

-- name: newest
-- The newest mappings, while older ones may still be in use.
select crm, fingerprint from mapping_versions where since > now() - %(seconds)s * interval '1 second'
