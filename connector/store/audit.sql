-- name: record
-- One entry, and the reason that the person gave, if any.
with entry as (
    insert into audit (who, source, origin, what, about, before, after)
    values (%(who)s, %(source)s, %(origin)s, %(what)s, %(about)s, %(before)s, %(after)s)
    returning id
)
insert into audit_notes (audit, why) select id, %(why)s from entry where %(why)s::text <> ''

-- name: find
-- Entries, newest first. A filter that is null matches all. `below`: only those with a smaller id.
select audit.id, audit.at, audit.who, audit.source, audit.origin, audit.what, audit.about, audit.before, audit.after,
       coalesce(audit_notes.why, '') as why
from audit left join audit_notes on audit_notes.audit = audit.id
where (%(since)s::timestamptz is null or audit.at >= %(since)s) and (%(until)s::timestamptz is null or audit.at < %(until)s)
  and (%(who)s::text is null or audit.who = %(who)s) and (%(what)s::text is null or audit.what = %(what)s)
  and (%(about)s::text is null or audit.about = %(about)s) and (%(below)s::bigint is null or audit.id < %(below)s)
order by audit.id desc limit %(most)s

-- name: owns
-- Whether this database role owns the audit trail, and may therefore trim it.
select pg_has_role(relowner, 'USAGE') from pg_class where oid = 'audit'::regclass

-- name: count_old
select count(*) from audit where at < now() - %(days)s * interval '1 day'

-- name: unlock
-- Let the owner delete until the end of the transaction. Other entries wait meanwhile.
alter table audit disable trigger audit_append_only

-- name: delete_old
-- Delete the oldest entries; their notes go with them.
delete from audit where id in (
    select id from audit where at < now() - %(days)s * interval '1 day' order by at limit %(most)s)

-- name: lock
alter table audit enable trigger audit_append_only

-- name: forget_notes
-- Delete the reasons that people gave for actions on these.
delete from audit_notes using audit where audit.id = audit_notes.audit and audit.about = any(%(abouts)s)

-- name: erase_old_notes
-- Delete the reasons that people gave, of entries whose retention has ended.
delete from audit_notes using audit where audit.id = audit_notes.audit and audit.at < now() - %(days)s * interval '1 day'
