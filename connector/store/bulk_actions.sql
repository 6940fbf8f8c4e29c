-- name: start
-- Start a bulk action. Its items follow in the same transaction.
insert into bulk_actions (action, query, search, why, who, source, origin, requested)
values (%(action)s, %(query)s, %(search)s, %(why)s, %(who)s, %(source)s, %(origin)s, 0) returning id

-- name: add_selected
-- Make these texts its items; those that do not exist are left out.
insert into bulk_items (bulk, text) select %(bulk)s, id from texts where id = any(%(ids)s)

-- name: requested
update bulk_actions set requested = %(requested)s where id = %(bulk)s

-- part: columns
id, action, query, why, who, requested, done, refused, state, stopped_by, started_at, ended_at

-- name: find
-- Bulk actions, newest first.
select {columns} from bulk_actions where (%(before)s::bigint is null or id < %(before)s) order by id desc limit %(most)s

-- name: one
select {columns} from bulk_actions where id = %(bulk)s

-- name: refusals
-- Why items were refused: each reason, how often, and some of the texts.
select refused as why, count(*) as texts, (array_agg(text order by text))[1:5] as examples
from bulk_items where bulk = %(bulk)s and refused is not null group by refused order by count(*) desc, refused limit %(most)s

-- name: stop
-- Stop a running bulk action. Waits for the items that are being done; none is begun afterwards.
update bulk_actions set state = 'stopped', stopped_by = %(who)s, ended_at = now()
where id = %(bulk)s and state = 'running' returning requested, done, refused

-- name: running_of
-- The running bulk actions that this person or API key started on the console.
select id from bulk_actions where who = %(who)s and source = %(source)s and state = 'running' order by id

-- name: take
-- Lock the oldest running bulk action that no other worker is at, until the caller's transaction ends.
select id, action, search, why, who, source, origin from bulk_actions where state = 'running'
order by id limit 1 for update skip locked

-- name: next_items
-- The next texts of a bulk action.
select text from bulk_items where bulk = %(bulk)s and ended_at is null order by text limit %(most)s

-- name: end_items
-- Note what became of these items, and count them.
with results as (
    update bulk_items set ended_at = now(), refused = r.refused
    from jsonb_to_recordset(%(results)s) as r (text bigint, refused text)
    where bulk_items.bulk = %(bulk)s and bulk_items.text = r.text and bulk_items.ended_at is null
    returning bulk_items.refused
)
update bulk_actions set done = done + (select count(*) from results where refused is null),
                        refused = refused + (select count(*) from results where refused is not null)
where id = %(bulk)s

-- name: finish
-- End a bulk action that has no items left.
update bulk_actions set state = 'done', ended_at = now() where id = %(bulk)s and state = 'running'
