-- name: make
insert into plan (id, crm, query, ask, state) values (%(id)s, %(crm)s, %(query)s, %(ask)s, 'planning')

-- name: drop
delete from plan where id = %(plan)s

-- name: page
-- Where a page of cases is copied to before those that are there already are left out.
create temporary table if not exists plan_page (
    position bigint, ticket_id text, skip text, number text, segments int) on commit delete rows

-- name: keep_page
insert into plan_case (plan, position, ticket_id, skip, number, segments)
select %(plan)s, position, ticket_id, skip, number, segments from plan_page order by position
on conflict do nothing

-- name: one_each
-- Of several cases of one customer the first is kept.
with ranked as (
    select position, row_number() over (partition by number order by position) as nth
    from plan_case where plan = %(plan)s and skip is null and number is not null
)
update plan_case set skip = %(why)s from ranked
where plan_case.plan = %(plan)s and plan_case.position = ranked.position and ranked.nth > 1

-- name: totals
-- Why cases are skipped, or not, with some of them for examples.
select skip, count(*) as cases, coalesce(sum(segments), 0) as segments,
       (array_agg(ticket_id order by position))[1:3] as examples
from plan_case where plan = %(plan)s group by skip order by count(*) desc, skip

-- name: planned
update plan set state = 'planned', report = %(report)s, changed_at = now() where id = %(plan)s and state = 'planning'

-- part: plans
-- What a plan is made of.
select id, crm, query, ask, state, why, canary, most_failed, cooling, cooling_until, watched_until, report, made_at
from plan

-- name: found
{plans}
where id = %(plan)s

-- name: patience
-- The transaction may be idle for longer than others: nobody waits for its locks.
set local idle_in_transaction_session_timeout = '2min'

-- name: found_for_update
-- The same, and nobody else feeds it meanwhile.
{plans}
where id = %(plan)s for update skip locked

-- name: listed
{plans}
order by made_at desc limit %(most)s

-- name: active
select id from plan where state in ('canary', 'cooling', 'running') order by made_at

-- name: start
-- From the beginning, or where it was left.
update plan set
    state = case when %(canary)s > 0 then 'canary' else 'running' end,
    why = '', canary = %(canary)s, most_failed = %(most_failed)s, cooling = %(cooling)s, cooling_until = null,
    watched_until = %(watched)s::double precision * interval '1 second' + now(), changed_at = now()
where id = %(plan)s and state in ('planned', 'paused', 'stopped')

-- name: watch
-- Somebody still watches, or nobody has to.
update plan set watched_until = now() + %(seconds)s::double precision * interval '1 second'
where id = %(plan)s and watched_until is not null and state in ('canary', 'cooling', 'running')

-- name: move
update plan set state = %(state)s, why = %(why)s, changed_at = now()
where id = %(plan)s and state = any(%(from_states)s)

-- name: cool
update plan set state = 'cooling', cooling_until = now() + cooling * interval '1 second', changed_at = now()
where id = %(plan)s and state = 'canary'

-- name: next_cases
select position, ticket_id, number, tries from plan_case
where plan = %(plan)s and skip is null and text is null
order by position limit %(most)s

-- name: took_in
update plan_case set text = t.text, tries = plan_case.tries + 1
from jsonb_to_recordset(%(taken)s) as t (position bigint, text bigint)
where plan_case.plan = %(plan)s and plan_case.position = t.position

-- name: skip_cases
update plan_case set skip = %(why)s where plan = %(plan)s and position = any(%(positions)s) and text is null

-- name: under_way
-- The texts that are not over: how many of them wait for their hours, and which of them could be taken back.
select count(*) as open, count(*) filter (where text.state in ('received', 'queued') and text.not_before > now()
                                            and text.attempts = 0 and text.busy_since is null) as held
from plan_case join text on text.id = plan_case.text
where plan_case.plan = %(plan)s and text.state in ('received', 'queued', 'sending')

-- name: take_back
-- Texts that have not left.
select text.id from plan_case join text on text.id = plan_case.text
where plan_case.plan = %(plan)s and text.state in ('received', 'queued')

-- name: left_behind
-- Plans that do not go on and have such texts: of calls that sent nothing, and were under way when the plan was halted.
select distinct plan.id from text
join plan_case on plan_case.text = text.id join plan on plan.id = plan_case.plan
where text.state in ('received', 'queued') and text.door = 'batch' and plan.state in ('paused', 'stopped', 'cancelled')

-- name: give_back
-- Their cases are as if they had never been taken in, and so are those of the texts that no ticket was told of.
with back as (
    update plan_case set text = null where plan = %(plan)s and text = any(%(texts)s)
), untold as (
    delete from text where id = any(%(texts)s) and state = 'cancelled' and outcome = 0 returning id, event
), steps as (
    delete from history using untold where history.text = untold.id
)
delete from event using untold where event.id = untold.event

-- name: progress
-- How far its texts have come: each state with its number of cases; null: not taken in yet.
select text.state, count(*) as cases from plan_case left join text on text.id = plan_case.text
where plan_case.plan = %(plan)s and plan_case.skip is null group by text.state

-- part: standing
-- Where a case is: in the state of its text, or what there is instead of one.
coalesce(text.state, case when plan_case.skip is not null then 'skipped' when plan.state = 'cancelled' then 'cancelled'
                     else 'waiting' end)

-- name: tally
-- Each of its cases once: where it is, and how many are there.
select {standing} as state, count(*) as cases
from plan_case join plan on plan.id = plan_case.plan left join text on text.id = plan_case.text
where plan_case.plan = %(plan)s group by 1

-- name: outcomes
-- What became of each case, in order, some at a time.
select plan_case.position, plan_case.ticket_id, {standing} as state,
       coalesce(nullif(text.why, ''), plan_case.skip,
                case when text.id is null and plan.state = 'cancelled' then 'the back-fill was cancelled' end, '') as why,
       (text.chat ->> 'id')::bigint as chat_id,
       text.chat ->> 'status' as chat_status, plan_case.text, plan_case.segments,
       coalesce(text.outcome > 0 and text.outcome <= text.written and text.write_refused is null, false) as ticket_told
from plan_case join plan on plan.id = plan_case.plan left join text on text.id = plan_case.text
where plan_case.plan = %(plan)s and plan_case.position > %(after)s
order by plan_case.position limit %(most)s
