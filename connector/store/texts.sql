-- name: load
-- The columns of texts that delivery needs.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.revision, events.changed_by, texts.attempts,
       texts.suspected, texts.refused_at, extract(epoch from now() - texts.busy_since)::float8 as busy_for,
       texts.not_before > now() as early, extract(epoch from clock_timestamp() - events.received_at)::float8 as age,
       case when texts.state = 'unknown' then texts.sms end as sms, texts.request,
       texts.accepted, texts.traceparent, texts.restored_at is not null as maybe_sent,
       texts.state = 'received' and texts.restored_at is null and exists (
           select from texts as first
           where first.crm = texts.crm and first.ticket_id = texts.ticket_id and first.state = 'received'
               and first.restored_at is not null
       ) as after_maybe_sent
from texts join events on events.id = texts.event
where texts.id = any(%(ids)s)

-- name: lock_undecided
-- Lock those of these texts that have not been decided, cancelled or sent since they were read, until the caller's
-- transaction ends. Ordered by id, to avoid deadlocks.
select texts.id from unnest(%(ids)s::bigint[], %(revisions)s::int[]) as d (id, revision)
join texts on texts.id = d.id and texts.revision = d.revision and texts.state in ('received', 'queued')
order by texts.id for update of texts

-- name: claim_reasons
-- Claim reasons, first come, first served. A conflict is no error: the next query finds the holder.
insert into reasons (crm, rule, reason, text)
select texts.crm, d.rule, d.reason, texts.id
from jsonb_to_recordset(%(decisions)s) as d (id bigint, rule text, reason text) join texts on texts.id = d.id
order by texts.crm, d.rule, d.reason, texts.id
on conflict (crm, rule, reason) do nothing

-- name: queue_decided
-- Queue the texts that hold their reason and their number, with the decision. For the others, find the text that holds
-- the reason.
with d as (
    select texts.id, texts.state as from_state, texts.revision, d.rule, d.reason, d.sms, d.trace, d.accepted, d.number,
           d.hash, reasons.text as holder
    from jsonb_to_recordset(%(decisions)s) as d (
        id bigint, rule text, reason text, sms jsonb, hash text, trace jsonb, accepted jsonb, number boolean)
    join texts on texts.id = d.id
    cross join lateral (  -- forces one index lookup for each text, whatever the planner's statistics say
        select text from reasons where reasons.crm = texts.crm and reasons.rule = d.rule and reasons.reason = d.reason limit 1
    ) reasons
), queued as (
    update texts set state = 'queued', revision = texts.revision + 1, rule = d.rule, reason = d.reason, sms = d.sms,
                    number = d.hash, trace = d.trace, accepted = coalesce(texts.accepted, nullif(d.accepted, 'null')), changed_at = now()
    from d where texts.id = d.id and d.holder = d.id and d.number
    returning texts.id, d.from_state
), noted as (
    insert into history (text, from_state, to_state, why)
    select id, from_state, 'queued', '' from queued where from_state <> 'queued'
)
select id, holder, case when holder = id and number then revision + 1 else revision end from d

-- name: scheduled_without_number
-- Texts of this CRM scheduled for later whose number is not known: first those whose tickets were never read, then those
-- that named none so many seconds ago. The search uses the index of open texts.
select id from texts
where state = 'received' and not_before > now() and number is null and crm = %(crm)s
  and (number_read_at is null or number_read_at < now() - %(seconds)s * interval '1 second')
order by number_read_at nulls first, not_before, id limit %(most)s

-- name: no_number_found
with named as (select id from texts where id = any(%(ids)s) order by id for update)
update texts set number_read_at = now() from named
where texts.id = named.id and texts.state = 'received' and texts.number is null

-- name: meant_for
update texts set number = m.hash from unnest(%(ids)s::bigint[], %(hashes)s::text[]) as m (id, hash)
where texts.id = m.id and texts.state = 'received' and texts.number is null

-- name: to_be_sent
-- Those of these texts that are neither cancelled nor sent. An unknown one may be waiting for its second attempt.
select id from texts where id = any(%(ids)s) and state in ('queued', 'unknown')

-- name: lock_holders
-- Lock these texts, so that none gets an outcome that a text skipped for it would miss, until the caller's transaction
-- ends. One that is missing has gone back to its back-fill.
select id from texts where id = any(%(ids)s) order by id for share

-- name: move
-- Apply transitions. Each applies only if the text is in a state that allows it, and at the revision that the
-- transition names; each is recorded in history. Only the holder of the claim moves a text out of `sending`; if an
-- answer to an earlier call is known or open, only with `late`. `tell` counts an outcome to write back, but not while
-- the text of the same reason has none itself: that text's outcome will be written. A ticket that has an outcome
-- already gets the final one, too. `release` gives back reason and number, because certainly nothing was sent. So does
-- every state but `sent` and `unknown` with the share of a daily budget.
-- Of two texts that hold and held a number, both may be released at once: a statement changes a row only once.
with m as (
    select m.id, m.to_state, m.why, m.chat, m.same_as, m.release, m.tried, m.busy, m.suspected, m.as_all, m.after, m.trace,
           m.accepted, m.contradicted, m.unclear, m.phone_problem, m.number, m.code, nullif(m.hold, 'null') as hold,
           not m.tell as quiet,
           coalesce(texts.held is distinct from nullif(m.hold, 'null') and nullif(m.hold, 'null') is not null, false) as note,
           texts.state as from_state, texts.revision as from_revision, texts.code as from_code, texts.rule as from_rule,
           coalesce(m.rule, texts.rule, texts.accepted ->> 'rule', m.accepted ->> 'rule', texts.request ->> 'rule') as rule,
           texts.changed_at as from_changed_at,
           case when m.to_state not in ('sent', 'unknown') and not texts.budget_returned then texts.budget_share end as share,
           m.tell and (same.id is null or same.outcome > 0)
               or (texts.outcome > 0 or texts.held_version > 0) and m.to_state in ('cancelled', 'skipped') as tell,
           nextval('outcome_order') as place
    from jsonb_to_recordset(%(moves)s) as m (
        id bigint, from_states text[], to_state text, why text, revision int, chat jsonb, same_as bigint, tell boolean,
        release boolean, tried boolean, busy boolean, suspected boolean, as_all boolean, after double precision, trace jsonb,
        accepted jsonb, contradicted text, unclear boolean, phone_problem text, hold jsonb,
        number text, rule text, code text)
    join texts on texts.id = m.id and texts.state = any(m.from_states)
        and texts.revision = coalesce(m.revision, texts.revision)
        and (texts.state <> 'sending'
             or m.revision is not null and (%(late)s or cardinality(texts.unclear) = 0 and texts.chat is null))
    left join texts same on same.id = m.same_as
    order by texts.id
), moved as (
    update texts set
        state = m.to_state,
        revision = texts.revision + 1,
        why = m.why,
        code = m.code,
        number = coalesce(m.number, texts.number),
        rule = m.rule,
        chat = coalesce(nullif(m.chat, 'null'), texts.chat),
        same_as = m.same_as,
        trace = coalesce(nullif(m.trace, 'null'), texts.trace),
        accepted = coalesce(texts.accepted, nullif(m.accepted, 'null')),
        attempts = texts.attempts + m.tried::int,
        busy_since = case when m.busy then coalesce(texts.busy_since, now()) else texts.busy_since end,
        suspected = texts.suspected + m.suspected::int,
        refused_at = case when m.as_all then now() else texts.refused_at end,
        unclear = case when m.unclear then texts.unclear || texts.revision else texts.unclear end,
        contradicted = coalesce(m.contradicted, texts.contradicted),
        phone_problem = m.phone_problem,
        held = coalesce(m.hold, texts.held),
        held_version = texts.held_version + m.note::int,
        not_before = now() + m.after * interval '1 second',
        budget_returned = texts.budget_returned or m.share is not null,
        outcome = texts.outcome + m.tell::int,
        -- A text that is only settled differently keeps its place, unless the customer has, or may have, a text by it.
        known = case when m.from_state in ('received', 'queued', 'sending') or m.to_state in ('sent', 'unknown')
                then m.place else texts.known end,
        changed_at = now()
    from m where texts.id = m.id and texts.revision = m.from_revision
    returning texts.id, texts.channel, m.from_state, m.to_state, m.why, m.same_as, m.tell, m.quiet, m.release, m.after, m.note,
              m.share, m.code, texts.rule, m.from_rule, m.from_code, m.from_changed_at, texts.changed_at, texts.due_at
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, to_state, why from moved
), given_back as (
    insert into daily_budget_corrections (number, day, texts, segments)
    select share ->> 'number', (share ->> 'day')::date, -1, -(share ->> 'segments')::int from moved where share is not null
), freed as (
    update recipients set text = before_text, at = before_at, before_text = null from moved
    where recipients.text = moved.id and moved.release and recipients.before_text is not null
      and not exists (select from moved before where before.id = recipients.before_text and before.release)
), forgotten as (
    delete from recipients using moved
    where recipients.text = moved.id and moved.release and (recipients.before_text is null
          or exists (select from moved before where before.id = recipients.before_text and before.release))
), unremembered as (
    update recipients set before_text = null from moved where recipients.before_text = moved.id and moved.release
      and not exists (select from moved after where after.id = recipients.text and after.release)
), released as (
    delete from reasons using moved where reasons.text = moved.id and moved.release
), steps as (
    select to_state as step, channel, rule, code, changed_at as at, due_at, 1 as texts from moved
    union all select from_state, channel, from_rule, from_code, from_changed_at, due_at, -1 from moved
), {roll_up}
select id, channel, to_state, same_as, tell, quiet, after, note from moved

-- name: notify_followers
-- Texts that were skipped for these get a new outcome to write back.
update texts set outcome = outcome + 1 where same_as = any(%(ids)s) and state = 'skipped' returning id, channel

-- name: revive_followers
-- Decide again the texts that were skipped for these, because these ended without a result of their own.
with skipped as (
    select id, channel, rule, code, changed_at, due_at from texts where same_as = any(%(ids)s) and state = 'skipped'
    order by id for update
), follower as (
    update texts set state = 'received', revision = texts.revision + 1, same_as = null, not_before = null, why = '',
                    code = null, changed_at = now()
    from skipped where texts.id = skipped.id
    returning texts.id, texts.channel
), steps as (
    select 'skipped' as step, channel, rule, code, changed_at as at, due_at, -1 as texts from skipped
), {roll_up}, noted as (
    insert into history (text, from_state, to_state, why)
    select id, 'skipped', 'received', 'the text for the same reason has ended without a result' from follower
)
select id, channel, 0 as after from follower

-- name: ended_quietly
-- Those of these texts that ended without a result of their own before others were skipped for them.
select id from texts where id = any(%(ids)s) and state in ('cancelled', 'skipped') and (outcome = 0 or same_as is not null)

-- name: standing
-- The current state of a text, locked until the caller's transaction ends.
select id, state, revision, unclear, chat from texts where id = %(id)s for update

-- name: note_late
-- Record what is known of a text's earlier calls.
with noted as (
    insert into history (text, from_state, to_state, why)
    select %(id)s, %(state)s, %(state)s, %(note)s where %(note)s <> ''
)
update texts set unclear = %(unclear)s, chat = coalesce(%(chat)s, chat) where id = %(id)s

-- name: claim_reason_back
insert into reasons (crm, rule, reason, text) select crm, rule, reason, id from texts
where id = %(id)s and rule is not null and reason is not null
on conflict (crm, rule, reason) do nothing

-- name: number_of
select sms ->> 'end_user_number' from texts where id = %(id)s

-- name: suppress_numbers_of
-- CCAI Platform says that the customers of these texts have opted out. Ordered by number, to avoid deadlocks.
insert into suppressions (number, source) select distinct sms ->> 'end_user_number', 'platform' from texts
where id = any(%(ids)s) and sms ->> 'end_user_number' is not null order by 1
on conflict (number, source, origin) do nothing

-- name: waiting_beside
-- Other texts to the numbers of these texts that are not being sent yet.
select distinct other.id from texts join texts as other on other.number = texts.number
where texts.id = any(%(ids)s) and other.state in ('received', 'queued') and other.id <> all(%(ids)s) order by other.id

-- name: overdue
-- Texts in `sending` whose claim has expired by the database's clock, or was made before that clock was set back.
select id, revision from texts
where state = 'sending' and (coalesce(claim_until, changed_at + interval '5 minutes') < clock_timestamp() or changed_at > clock_timestamp() + interval '1 minute')
order by id limit 500 for update skip locked

-- name: not_written_beside
-- Other texts of the same tickets with an outcome to write back: they may have waited for these.
{beside} and other.state not in ('received', 'queued', 'sending')
