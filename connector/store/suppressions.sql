-- name: suppress
-- Add an entry to the suppression list; whether it is new. A later word that the platform acts on spares the operator.
insert into suppressions as s (number, source, why, added_by, words, chat, said_at, to_enter)
values (%(number)s, %(source)s, %(why)s, %(by)s, %(words)s, %(chat)s, %(said_at)s, %(to_enter)s)
on conflict (number, source, origin) do update set to_enter = s.to_enter and excluded.to_enter
returning xmax = 0

-- name: allow
-- Remove a number from the suppression list.
delete from suppressions where number = %(number)s

-- name: lift
-- Remove the entry of one source.
delete from suppressions where number = %(number)s and source = %(source)s

-- name: sources
select distinct source from suppressions where number = %(number)s order by source

-- name: suppressed
-- The suppression list, newest first.
select number, source, why, added_by, added_at, words, said_at, to_enter and entered_at is null as to_enter, entered_at
from suppressions where not %(to_enter)s or to_enter and entered_at is null
order by added_at desc, number, source, origin limit %(most)s

-- name: entered
-- Record that the number was entered on the platform's own list.
update suppressions set entered_at = now() where number = %(number)s and to_enter and entered_at is null

-- name: forget_words
update suppressions set words = '', chat = null where number = %(number)s

-- name: follow
-- What the tickets' opt-out field says. A number that a word has opted out needs no entry: the connector may have
-- written the field itself.
with said as (
    select distinct number, crm || '/' || ticket as origin, opted_out
    from jsonb_to_recordset(%(values)s) as v (number text, crm text, ticket text, opted_out boolean)
), lifted as (
    delete from suppressions using said
    where suppressions.number = said.number and suppressions.source = 'crm' and suppressions.origin = said.origin
      and not said.opted_out
)
insert into suppressions (number, source, origin)
select number, 'crm', origin from said
where opted_out and not exists (select from suppressions word where word.number = said.number and word.source = 'word')
order by number, origin
on conflict (number, source, origin) do nothing

-- name: take_unchecked
-- The CRM's entries that were not compared with their ticket for so long.
update suppressions set checked_at = now()
where (number, source, origin) in (
    select number, source, origin from suppressions
    where source = 'crm' and checked_at < now() - %(seconds)s * interval '1 second'
    order by checked_at limit %(most)s for update skip locked)
returning number, origin
