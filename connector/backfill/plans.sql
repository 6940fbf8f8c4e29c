-- part: making
-- The key of the lock that a connection has while it makes a plan.
hashtextextended('plan ' || %(plan)s, 0)

-- name: make
-- A plan without cases, and the lock of this connection. The database drops the lock when the connection ends.
with locked as materialized (select pg_advisory_lock_shared({making}))
insert into plans (id, crm, query, request, state)
select %(plan)s, %(crm)s, %(query)s, %(request)s, 'planning' from locked

-- name: release
select pg_advisory_unlock_shared({making})

-- name: is_planning
select from plans where id = %(plan)s and state = 'planning'

-- name: cancel_abandoned
-- Cancels unfinished plans that no connection makes any more.
with unfinished as materialized (select id from plans where state = 'planning')
update plans set state = 'cancelled', why = %(why)s, changed_at = now() from unfinished
where plans.id = unfinished.id and plans.state = 'planning'
  and pg_try_advisory_xact_lock(hashtextextended('plan ' || unfinished.id, 0))
returning plans.id

-- name: drop
-- Drops an unfinished plan. One that was cancelled stays.
delete from plans where id = %(plan)s and state = 'planning'

-- name: page
-- Holds a page of cases until those that the plan has already are left out.
create temporary table if not exists plan_page (
    position bigint, ticket_id text, skip text, number text, segments int) on commit delete rows

-- name: keep_page
insert into plan_cases (plan, position, ticket_id, skip, number, segments)
select %(plan)s, position, ticket_id, skip, number, segments from plan_page order by position
on conflict do nothing

-- name: one_each
-- Keeps the first of several cases of one customer.
with ranked as (
    select position, row_number() over (partition by number order by position) as nth
    from plan_cases where plan = %(plan)s and skip is null and number is not null
)
update plan_cases set skip = %(why)s from ranked
where plan_cases.plan = %(plan)s and plan_cases.position = ranked.position and ranked.nth > 1

-- name: totals
-- The reasons for skipped cases, and null for texted ones, with some cases as examples.
select skip, count(*) as cases, coalesce(sum(segments), 0) as segments,
       (array_agg(ticket_id order by position))[1:3] as examples
from plan_cases where plan = %(plan)s group by skip order by count(*) desc, skip

-- name: planned
update plans set state = 'planned', report = %(report)s, changed_at = now() where id = %(plan)s and state = 'planning'

-- part: plans
-- The columns of a plan.
select id, crm, query, request, state, why, canary, max_failed, cooling, cooling_until, watched_until, report, made_at
from plans

-- name: found
{plans}
where id = %(plan)s

-- name: patience
-- Lets the transaction be idle for longer than others: no process waits for its locks.
set local idle_in_transaction_session_timeout = '2min'

-- name: found_for_update
-- The same plan, locked against other feeders.
{plans}
where id = %(plan)s for update skip locked

-- name: listed
{plans}
order by made_at desc limit %(most)s

-- name: active
select id from plans where state in ('canary', 'cooling', 'running') order by made_at

-- name: start
-- Starts the plan, or continues it after a halt.
update plans set
    state = case when %(canary)s > 0 then 'canary' else 'running' end,
    why = '', canary = %(canary)s, max_failed = %(max_failed)s, cooling = %(cooling)s, cooling_until = null,
    watched_until = %(watched)s::double precision * interval '1 second' + now(), changed_at = now()
where id = %(plan)s and state in ('planned', 'paused', 'stopped')

-- name: watch
-- Extends a watched run, or makes it unwatched.
update plans set watched_until = now() + %(seconds)s::double precision * interval '1 second'
where id = %(plan)s and watched_until is not null and state in ('canary', 'cooling', 'running')

-- name: move
update plans set state = %(state)s, why = %(why)s, changed_at = now()
where id = %(plan)s and state = any(%(from_states)s)

-- name: note
-- Why an active plan is not fed at present; empty: it is.
update plans set why = %(why)s
where id = %(plan)s and why <> %(why)s and state in ('canary', 'cooling', 'running')

-- name: cool
update plans set state = 'cooling', cooling_until = now() + cooling * interval '1 second', changed_at = now()
where id = %(plan)s and state = 'canary'

-- name: next_cases
select position, ticket_id, number, tries from plan_cases
where plan = %(plan)s and skip is null and text is null
order by position limit %(most)s

-- name: took_in
update plan_cases set text = t.text, tries = plan_cases.tries + 1
from jsonb_to_recordset(%(taken)s) as t (position bigint, text bigint)
where plan_cases.plan = %(plan)s and plan_cases.position = t.position

-- name: skip_cases
update plan_cases set skip = %(why)s where plan = %(plan)s and position = any(%(positions)s) and text is null

-- name: under_way
-- The texts without an outcome, and how many of them wait for their open hours and could be taken back.
select count(*) as open, count(*) filter (where texts.state in ('received', 'queued') and texts.not_before > now()
                                            and texts.attempts = 0 and texts.busy_since is null) as held
from plan_cases join texts on texts.id = plan_cases.text
where plan_cases.plan = %(plan)s and texts.state in ('received', 'queued', 'sending')

-- name: take_back
-- Texts that have not been sent. One that waited when the database was restored may have been.
select texts.id from plan_cases join texts on texts.id = plan_cases.text
where plan_cases.plan = %(plan)s and texts.state in ('received', 'queued') and texts.restored_at is null

-- name: left_behind
-- Halted plans with such texts: their calls were in progress when the plan was halted, and sent nothing.
select distinct plans.id from texts
join plan_cases on plan_cases.text = texts.id join plans on plans.id = plan_cases.plan
where texts.state in ('received', 'queued') and texts.restored_at is null and texts.channel = 'batch' and plans.state in ('paused', 'stopped', 'cancelled')

-- name: give_back
-- Resets the cases, and deletes the texts that were not written back to a ticket.
with back as (
    update plan_cases set text = null where plan = %(plan)s and text = any(%(texts)s)
), given_back as (
    delete from texts where id = any(%(texts)s) and state = 'cancelled' and outcome = 0
    returning id, event, channel, rule, code, changed_at, due_at
), transitions as (
    delete from history using given_back where history.text = given_back.id
), steps as (
    select 'cancelled' as step, channel, rule, code, changed_at as at, due_at, -1 as texts from given_back
), {roll_up}
delete from events using given_back where events.id = given_back.event

-- name: progress
-- The number of texted cases in each state of their text; null: no text yet.
select texts.state, count(*) as cases from plan_cases left join texts on texts.id = plan_cases.text
where plan_cases.plan = %(plan)s and plan_cases.skip is null group by texts.state

-- part: standing
-- The state of a case: that of its text, or what applies without one.
coalesce(texts.state, case when plan_cases.skip is not null then 'skipped' when plans.state = 'cancelled' then 'cancelled'
                     else 'waiting' end)

-- name: tally
-- The number of cases in each state. Each case counts once.
select {standing} as state, count(*) as cases
from plan_cases join plans on plans.id = plan_cases.plan left join texts on texts.id = plan_cases.text
where plan_cases.plan = %(plan)s group by 1

-- name: outcomes
-- The result of each case, in order, one page at a time.
select plan_cases.position, plan_cases.ticket_id, {standing} as state,
       coalesce(nullif(texts.why, ''), plan_cases.skip,
                case when texts.id is null and plans.state = 'cancelled' then 'the back-fill was cancelled' end, '') as why,
       (texts.chat ->> 'id')::bigint as chat_id,
       coalesce((select chats.status from chats where chats.chat_id = texts.chat ->> 'id'), texts.chat ->> 'status') as chat_status,
       plan_cases.text, plan_cases.segments, plans.request ->> 'reason_name' as reason,
       coalesce(texts.outcome > 0 and texts.outcome <= texts.written and texts.write_refused is null, false) as ticket_notified
from plan_cases join plans on plans.id = plan_cases.plan left join texts on texts.id = plan_cases.text
where plan_cases.plan = %(plan)s and plan_cases.position > %(after)s
order by plan_cases.position limit %(most)s
