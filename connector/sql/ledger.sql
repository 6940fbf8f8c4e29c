-- name: take_in
-- Events that are new become rows, and a text each if there is a ticket. In the order of their ids: no deadlocks.
with incoming as (
    select * from jsonb_to_recordset(%(events)s) as e (
        crm text, event_id text, door text, ticket_id text, changed_by text, body jsonb, raw text, problem text,
        ask jsonb)
    order by crm, event_id
), fresh as (
    insert into event (crm, event_id, door, ticket_id, changed_by, body, raw, problem)
    select crm, event_id, door, ticket_id, changed_by, case when raw is null then body end, decode(raw, 'base64'), problem
    from incoming
    on conflict (crm, event_id) do nothing
    returning id, crm, event_id, door, ticket_id
), texts as (
    insert into text (event, crm, ticket_id, door, ask)
    select fresh.id, fresh.crm, fresh.ticket_id, fresh.door, nullif(incoming.ask, 'null')
    from fresh join incoming on incoming.crm = fresh.crm and incoming.event_id = fresh.event_id
    where fresh.ticket_id is not null
    returning id, event
)
select fresh.event_id, texts.id as text, false as duplicate from fresh left join texts on texts.event = fresh.id

-- name: known
-- The texts of events that had been taken in before; and whether these are about another ticket than those.
select event.event_id, text.id as text, true as duplicate, event.ticket_id is distinct from again.ticket_id as misused
from jsonb_to_recordset(%(events)s) as again (event_id text, ticket_id text)
cross join lateral (  -- one look into the index for each, whatever the statistics say
    select * from event where event.crm = %(crm)s and event.event_id = again.event_id limit 1
) event
left join text on text.event = event.id

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

-- name: outcomes
-- What the tickets have to learn: of these texts those with an outcome that was not written yet, or whose write has no
-- clear end. A text that was skipped because of another one's reason tells that one's outcome. `overtaken`: the ticket
-- was told of an outcome that became known later, or of this outcome already. `soon`: another text of the ticket is
-- about to be decided by what the ticket says now. Where nothing was sent and another text of the ticket is still to
-- come, that one will tell: `untold_beside` then finds this one again. So it is where another text is unknown and the
-- ticket itself has not asked for this one.
select text.id, text.outcome, text.crm, text.ticket_id, told.state, told.why, told.rule, told.chat, told.changed_at,
       told.contradicted, text.write_attempts, text.write_refused is not null as refused_before,
       text.outcome <= text.written
           or exists (select from text newer where newer.crm = text.crm and newer.ticket_id = text.ticket_id
                      and (coalesce(newer.known, 0), newer.id) > (coalesce(text.known, 0), text.id)
                      and newer.told > 0) as overtaken,
       told.state in ('sent', 'unknown')
           and exists (select from text other where other.crm = text.crm and other.ticket_id = text.ticket_id
                       and other.id <> text.id and other.state = 'received'
                       and other.changed_at between now() - %(soon)s * interval '1 second' and now()) as soon
from text join text told on told.id = coalesce(text.same_as, text.id)
where text.id = any(%(ids)s) and (text.outcome > text.written or text.write_begun > 0)
    and told.state not in ('received', 'queued', 'sending')  -- else it is told when it is over
    and not (told.state in ('failed', 'skipped', 'cancelled') and {another_waits})
order by coalesce(text.known, 0) desc, text.id desc

-- name: write_begins
-- The CRM is about to be asked to take these. Writes without a clear end are counted.
update text set write_begun = write_begun + 1, wrote = w.wrote
from jsonb_to_recordset(%(writes)s) as w (id bigint, wrote jsonb) where text.id = w.id

-- part: another_waits
exists (select from text other where other.crm = text.crm and other.ticket_id = text.ticket_id and other.id <> text.id
        and (other.state in ('received', 'queued', 'sending') or other.state = 'unknown' and text.door <> 'trigger'))

-- name: untold_beside
-- Other texts of these texts' tickets that have something to tell: they may have waited for these.
select distinct other.id, other.door
from text join text other on other.crm = text.crm and other.ticket_id = text.ticket_id and other.id <> text.id
where text.id = any(%(ids)s) and other.outcome > other.written and other.state not in ('received', 'queued', 'sending')

-- name: own_writes
-- What the connector itself has written to these texts' tickets, by text; newest first.
select text.id, other.wrote
from text join text other on other.crm = text.crm and other.ticket_id = text.ticket_id
where text.id = any(%(ids)s) and other.wrote is not null
order by text.id, other.id desc

-- name: told
-- The ticket has it, or a newer outcome. Where this one's write may have come after a newer one's, which was told or is
-- being told, the newer one is told anew: that of the newest text, or of the text itself.
with w as (
    select w.text as id, w.version, w.overtaken, w.refused, text.crm, text.ticket_id, newest.id as newest,
           not w.overtaken and text.outcome > w.version or w.overtaken and text.write_begun > 0 as late
    from jsonb_to_recordset(%(results)s) as w (text bigint, version int, overtaken boolean, refused text)
    join text on text.id = w.text
    left join lateral (
        select newer.id from text newer
        where newer.crm = text.crm and newer.ticket_id = text.ticket_id
          and (coalesce(newer.known, 0), newer.id) > (coalesce(text.known, 0), text.id)
          and (newer.told > 0 or newer.write_begun > 0)
        order by coalesce(newer.known, 0) desc, newer.id desc limit 1
    ) newest on true
), settled as (
    update text set
        written = greatest(text.written, w.version),
        told = case when w.overtaken or w.refused is not null then text.told else greatest(text.told, w.version) end,
        write_begun = case when w.overtaken then 0 else greatest(text.write_begun - 1, 0) end,
        write_refused = case when w.overtaken and text.told < w.version then 'a newer text has told the ticket'
                        else w.refused end,
        write_attempts = 0,
        outcome = text.outcome + w.anew::int
    from (
        select w.*, late and newest is null or exists (select from w older where older.late and older.newest = w.id) as anew
        from w
    ) w where text.id = w.id
    returning text.id, text.door, w.anew
), anew as (
    update text set outcome = text.outcome + 1
    where text.id in (select newest from w where late or not overtaken and refused is null)
      and text.id not in (select id from w) and (text.outcome <= text.written or text.write_begun > 0)
    returning text.id, text.door
)
select id, door from anew union all select id, door from settled where anew

-- name: write_later
-- The CRM did not take it this time; `refused` says why, if it is not expected to.
update text set
    -- In a row of one kind: what fails for a moment does not lengthen the pause after a refusal.
    write_attempts = case when (text.write_refused is null) = (w.refused is null) then text.write_attempts + 1 else 1 end,
    write_refused = w.refused,
    write_begun = greatest(text.write_begun - (w.refused is not null)::int, 0)
from jsonb_to_recordset(%(results)s) as w (id bigint, refused text)
where text.id = w.id returning text.id, text.door

-- name: give_up_telling
-- The ticket is not told of it.
update text set written = outcome, write_begun = 0, write_refused = coalesce(write_refused || '; ', '') || %(why)s
where id = %(id)s and outcome > written returning id
