-- part: open
-- Open sessions, with their roles as they are now.
select console_sessions.id, console_sessions.who, console_sessions.method,
       case console_sessions.method when 'key' then api_keys.rights else console_sessions.roles end as roles,
       console_sessions.origin, console_sessions.began_at, console_sessions.seen_at, console_sessions.ends_at
from console_sessions left join api_keys on console_sessions.method = 'key' and api_keys.name = console_sessions.who
where console_sessions.ends_at > now() and console_sessions.seen_at > now() - %(idle)s * interval '1 minute'
  and (console_sessions.method <> 'key' or api_keys.added_at <= console_sessions.began_at)

-- name: begin
insert into console_sessions (hash, who, method, roles, origin, ends_at)
values (%(hash)s, %(who)s, %(method)s, %(roles)s, %(origin)s, now() + %(hours)s * interval '1 hour')

-- name: find
-- The open session of a token.
{open} and console_sessions.hash = %(hash)s

-- name: use
-- Note that a session was used, and take its notice if it is shown.
with before as (
    select id, notice, case when not %(shows)s then notice end as left from console_sessions
    where id = %(id)s for update)
update console_sessions set seen_at = now(), notice = before.left from before where console_sessions.id = before.id
returning case when %(shows)s then before.notice end

-- name: notify
-- Add a notice to the one that no page has shown yet. Very many of them lose the oldest.
update console_sessions set notice = jsonb_build_object(
    'words', right(concat_ws(' ', notice ->> 'words', %(words)s::text), %(most)s),
    'problem', %(problem)s::bool or coalesce((notice ->> 'problem')::bool, false))
where id = %(id)s

-- name: listed
{open} order by console_sessions.id desc

-- name: end
delete from console_sessions where id = %(id)s returning who

-- name: forget
-- Delete what has ended.
delete from console_sessions where ends_at <= now() or seen_at <= now() - %(idle)s * interval '1 minute'
