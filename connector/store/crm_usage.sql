-- name: record
-- The newest reports.
insert into crm_usage (crm, share) select * from unnest(%(crms)s::text[], %(shares)s::float8[])
on conflict (crm) do update set share = excluded.share, at = now()

-- name: latest
select crm, share, at from crm_usage order by crm
