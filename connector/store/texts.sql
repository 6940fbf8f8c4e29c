-- name: load
-- What delivery needs to know of its texts.
select text.id, text.crm, text.ticket_id, text.door, text.state, text.revision, event.changed_by, text.attempts,
       text.suspected, text.refused_at, extract(epoch from now() - text.busy_since)::float8 as busy_for,
       text.not_before > now() as early,
       case when text.state = 'unknown' then text.sms end as sms, text.ask,
       text.accepted
from text join event on event.id = text.event
where text.id = any(%(ids)s)

-- name: lock_undecided
-- Those of these texts that nobody has decided, taken back or sent since they were read; nobody does until the caller's
-- transaction ends. In the order of their ids: no deadlocks.
select text.id from unnest(%(ids)s::bigint[], %(revisions)s::int[]) as d (id, revision)
join text on text.id = d.id and text.revision = d.revision and text.state in ('received', 'queued')
order by text.id for update of text

-- name: claim_reasons
-- First come, first served. A conflict is not an error: the next query finds who has it.
insert into reason (crm, rule, reason, text)
select text.crm, d.rule, d.reason, text.id
from jsonb_to_recordset(%(decisions)s) as d (id bigint, rule text, reason text) join text on text.id = d.id
order by text.crm, d.rule, d.reason, text.id
on conflict (crm, rule, reason) do nothing

-- name: queue_decided
-- The texts that hold their reason and their number are queued with what was decided; the others learn which text
-- holds the reason.
with d as (
    select text.id, text.state as from_state, text.revision, d.rule, d.reason, d.sms, d.trace, d.accepted, d.number,
           reason.text as holder
    from jsonb_to_recordset(%(decisions)s) as d (
        id bigint, rule text, reason text, sms jsonb, trace jsonb, accepted jsonb, number boolean)
    join text on text.id = d.id
    cross join lateral (  -- one look into the index for each, whatever the statistics say
        select text from reason where reason.crm = text.crm and reason.rule = d.rule and reason.reason = d.reason limit 1
    ) reason
), queued as (
    update text set state = 'queued', revision = text.revision + 1, rule = d.rule, reason = d.reason, sms = d.sms,
                    trace = d.trace, accepted = coalesce(text.accepted, nullif(d.accepted, 'null')), changed_at = now()
    from d where text.id = d.id and d.holder = d.id and d.number
    returning text.id, d.from_state
), noted as (
    insert into history (text, from_state, to_state, why)
    select id, from_state, 'queued', '' from queued where from_state <> 'queued'
)
select id, holder, case when holder = id and number then revision + 1 else revision end from d

-- name: to_be_sent
-- Those of these texts that nobody has taken back, or sent. An unknown one may wait for its one more try.
select id from text where id = any(%(ids)s) and state in ('queued', 'unknown')

-- name: claim
-- Before the call: `sending`, committed, while the lane is open, for whoever knows the text's revision. It holds its
-- reason and its number then: whatever gives them back makes a new revision. Of several tries for one text, one gets
-- it, and each is answered by its token. An unknown text may be claimed where one
-- more try was planned (it has a time), and only once. Where the lane is closed: those that wait for it, why, and for
-- how many seconds. Asked afterwards it might be open again, and they would seem to be somebody else's.
with closed as (
    select stopped_why, confirmed, extract(epoch from held_until - now())::float8 as held_for, held_why
    from pace where lane = %(lane)s and (stopped_why is not null or held_until > now())
), c as (
    select text.id, text.revision, w.token, text.state as from_state
    from unnest(%(ids)s::bigint[], %(revisions)s::int[], %(tokens)s::bigint[]) as w (id, revision, token)
    join text on text.id = w.id and text.revision = w.revision
        and (text.state = 'queued' or text.state = 'unknown' and text.not_before <= now() and not text.tried_again)
), claimed as (
    update text set
        state = 'sending',
        revision = text.revision + 1,
        tried_again = (c.from_state = 'unknown'),
        unclear = case when c.from_state = 'unknown' and cardinality(text.unclear) = 0 then array[text.revision]
                  else text.unclear end,
        claim_token = c.token,
        claim_until = clock_timestamp() + %(good_for)s * interval '1 second',
        changed_at = now()
    from c where text.id = c.id and text.revision = c.revision and not exists (select from closed)
    returning text.id, text.claim_token, text.revision, c.from_state
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, 'sending', '' from claimed
)
select claim_token, revision, null as stopped_why, null as confirmed, null as held_for, null as held_why from claimed
union all select c.token, null, closed.* from c, closed

-- name: unclaim
-- Claims of tries that lost the database in the middle of claiming, and called nobody: undone, if they were made. What
-- an earlier call was answered meanwhile stays known: those that were sent have an outcome to tell.
with c as (
    select text.id, case when text.chat is not null then 'sent'
                    when cardinality(text.unclear) > 0 then 'unknown' else 'queued' end as to_state
    from unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) as w (id, token)
    join text on text.id = w.id and text.claim_token = w.token and text.state = 'sending'
    for update of text
), back as (
    update text set state = c.to_state, revision = text.revision + 1, tried_again = false, changed_at = now(),
                    outcome = text.outcome + (c.to_state = 'sent')::int,
                    known = case when c.to_state = 'sent' then nextval('outcome_order') else text.known end
    from c where text.id = c.id
    returning text.id, text.state, text.door
), noted as (
    insert into history (text, from_state, to_state, why)
    select id, 'sending', state, 'the database was lost before the call' from back
)
select id, door from back where state = 'sent'

-- name: lock_holders
-- Until the caller's transaction ends, none of these gets an outcome that those who are skipped for it would miss.
-- One that is missing has gone back to its back-fill.
select id from text where id = any(%(ids)s) order by id for share

-- name: move
-- Texts go from one state to another, each only if it is still in a state that allows it, and in the revision that the
-- step names; every step leaves a row. Nobody takes a text out of `sending` but the one whose claim it is; where
-- something else is known of it, only with `late`. `tell` counts an outcome for the ticket, but not while the text of
-- the same reason has none itself: that one will tell. A ticket that was told something before is told the end, too.
-- `release` gives the reason back, because certainly nothing was sent.
with m as (
    select m.id, m.to_state, m.why, m.chat, m.same_as, m.release, m.tried, m.busy, m.suspected, m.as_all, m.after, m.trace,
           m.accepted, m.contradicted, m.unclear, not m.tell as quiet,
           text.state as from_state, text.revision as from_revision,
           m.tell and (same.id is null or same.outcome > 0)
               or text.outcome > 0 and m.to_state in ('cancelled', 'skipped') as tell,
           nextval('outcome_order') as place
    from jsonb_to_recordset(%(moves)s) as m (
        id bigint, from_states text[], to_state text, why text, revision int, chat jsonb, same_as bigint, tell boolean,
        release boolean, tried boolean, busy boolean, suspected boolean, as_all boolean, after double precision, trace jsonb,
        accepted jsonb, contradicted text, unclear boolean)
    join text on text.id = m.id and text.state = any(m.from_states)
        and text.revision = coalesce(m.revision, text.revision)
        and (text.state <> 'sending'
             or m.revision is not null and (%(late)s or cardinality(text.unclear) = 0 and text.chat is null))
    left join text same on same.id = m.same_as
    order by text.id
), moved as (
    update text set
        state = m.to_state,
        revision = text.revision + 1,
        why = m.why,
        chat = coalesce(nullif(m.chat, 'null'), text.chat),
        same_as = m.same_as,
        trace = coalesce(nullif(m.trace, 'null'), text.trace),
        accepted = coalesce(text.accepted, nullif(m.accepted, 'null')),
        attempts = text.attempts + m.tried::int,
        busy_since = case when m.busy then coalesce(text.busy_since, now()) else text.busy_since end,
        suspected = text.suspected + m.suspected::int,
        refused_at = case when m.as_all then now() else text.refused_at end,
        unclear = case when m.unclear then text.unclear || text.revision else text.unclear end,
        contradicted = coalesce(m.contradicted, text.contradicted),
        not_before = now() + m.after * interval '1 second',
        outcome = text.outcome + m.tell::int,
        -- What is only settled otherwise keeps its place, unless the customer has a text, or may have one, by it.
        known = case when m.from_state in ('received', 'queued', 'sending') or m.to_state in ('sent', 'unknown')
                then m.place else text.known end,
        changed_at = now()
    from m where text.id = m.id and text.revision = m.from_revision
    returning text.id, text.door, m.from_state, m.to_state, m.why, m.same_as, m.tell, m.quiet, m.release, m.after
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, to_state, why from moved
), freed as (
    update recipient set text = before_text, at = before_at, before_text = null from moved
    where recipient.text = moved.id and moved.release and recipient.before_text is not null
), forgotten as (
    delete from recipient using moved
    where recipient.text = moved.id and moved.release and recipient.before_text is null
), unremembered as (
    update recipient set before_text = null from moved where recipient.before_text = moved.id and moved.release
), released as (
    delete from reason using moved where reason.text = moved.id and moved.release
)
select id, door, to_state, same_as, tell, quiet, after from moved

-- name: tell_followers
-- The tickets of texts that were skipped for these are told what became of them.
update text set outcome = outcome + 1 where same_as = any(%(ids)s) and state = 'skipped' returning id, door

-- name: revive_followers
-- These ended without a result of their own: texts that were skipped for them are decided anew.
with follower as (
    update text set state = 'received', revision = revision + 1, same_as = null, not_before = null, why = '',
                    changed_at = now()
    where same_as = any(%(ids)s) and state = 'skipped'
    returning id, door
), noted as (
    insert into history (text, from_state, to_state, why)
    select id, 'skipped', 'received', 'the text for the same reason has ended without a result' from follower
)
select id, door, 0 as after from follower

-- name: ended_quietly
-- Those of these texts that ended without a result of their own before others were skipped for them.
select id from text where id = any(%(ids)s) and state in ('cancelled', 'skipped') and (outcome = 0 or same_as is not null)

-- name: standing
-- Where a text is; it stays there until the caller's transaction ends.
select id, state, revision, unclear, chat from text where id = %(id)s for update

-- name: note_late
-- What is known of a text's earlier calls.
with noted as (
    insert into history (text, from_state, to_state, why)
    select %(id)s, %(state)s, %(state)s, %(note)s where %(note)s <> ''
)
update text set unclear = %(unclear)s, chat = coalesce(%(chat)s, chat) where id = %(id)s

-- name: claim_reason_back
insert into reason (crm, rule, reason, text) select crm, rule, reason, id from text
where id = %(id)s and rule is not null and reason is not null
on conflict (crm, rule, reason) do nothing

-- name: number_of
select sms ->> 'end_user_number' from text where id = %(id)s

-- name: overdue
-- Texts in `sending` whose workers have had their time, by the database's clock. A clock that was set back is no time.
select id, revision from text
where state = 'sending' and (coalesce(claim_until, changed_at + interval '5 minutes') < clock_timestamp() or changed_at > clock_timestamp() + interval '1 minute')
order by id limit 500 for update skip locked

-- name: untold_beside
-- Other texts of these texts' tickets that have something to tell: they may have waited for these.
select distinct other.id, other.door
from text join text other on other.crm = text.crm and other.ticket_id = text.ticket_id and other.id <> text.id
where text.id = any(%(ids)s) and other.outcome > other.written and other.state not in ('received', 'queued', 'sending')
