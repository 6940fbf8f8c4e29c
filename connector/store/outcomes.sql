-- part: as_outcome
-- An outcome as the ticket learns it: the newest status of its chat is part of it.
texts.id, texts.outcome, texts.crm, texts.ticket_id, reported.state, reported.why, reported.rule, reported.changed_at, reported.contradicted,
       coalesce(reported.request ->> 'reason_name', '') as reason_name, reported.phone_problem,
       texts.traceparent, texts.write_attempts, texts.write_refused is not null as refused_before,
       (select extract(epoch from clock_timestamp() - events.received_at)::float8
        from events where events.id = texts.event) as age,
       case when chats.chat_id is null then reported.chat else reported.chat || jsonb_build_object('status', chats.status) end as chat

-- part: of_outcome
from texts join texts reported on reported.id = coalesce(texts.same_as, texts.id)
    left join chats on chats.chat_id = reported.chat ->> 'id'

-- name: outcomes
-- The outcomes to write back: those of these texts that are not written yet, or whose write has no clear result.
-- A text that was skipped because another has the same reason reports that text's outcome. `overtaken`: the ticket has
-- an outcome that became known later, or has this one already. `soon`: another text of the ticket is about to be
-- decided by what the ticket says now, or a note of a hold is being written to it. A text that sent nothing is left out while another text of its ticket is
-- pending: that one will report, and `not_written_beside` or `waiting_beside` finds this one again. The same applies while another text is
-- unknown, unless a trigger made this one; and while another text was sent and its ticket has not been told: nothing
-- may hide a text that the customer has.
select {as_outcome},
       texts.outcome <= texts.written
           or exists (select from texts newer where newer.crm = texts.crm and newer.ticket_id = texts.ticket_id
                      and (coalesce(newer.known, 0), newer.id) > (coalesce(texts.known, 0), texts.id)
                      and newer.notified > 0) as overtaken,
       reported.state in ('sent', 'unknown')
           and exists (select from texts other where other.crm = texts.crm and other.ticket_id = texts.ticket_id
                       and other.id <> texts.id and other.state = 'received' and {under_way}
                       and other.changed_at between now() - %(soon)s * interval '1 second' and now())
           or exists (select from texts noted where noted.crm = texts.crm and noted.ticket_id = texts.ticket_id
                      and noted.held_begun > now() - interval '2 minutes') as soon
{of_outcome}
where texts.id = any(%(ids)s) and (texts.outcome > texts.written or texts.write_begun > 0)
    and reported.state not in ('received', 'queued', 'sending')  -- these are written back when they end
    and not (reported.state in ('failed', 'skipped', 'cancelled') and {another_waits})
order by coalesce(texts.known, 0) desc, texts.id desc

-- name: of
-- The present outcomes of these texts, written or not.
select {as_outcome}
{of_outcome}
where texts.id = any(%(ids)s) order by texts.id

-- name: write_begins
-- Count the writes that begin; those without a clear result stay counted.
update texts set write_begun = write_begun + 1, wrote = w.wrote
from jsonb_to_recordset(%(writes)s) as w (id bigint, wrote jsonb) where texts.id = w.id

-- name: waiting_beside
-- Other texts of these texts' tickets that sent nothing and have an outcome to write back: they may have waited.
{beside} and other.state in ('failed', 'skipped', 'cancelled')

-- name: own_writes
-- The connector's own writes to these texts' tickets, by text, newest first.
select texts.id, written.wrote
from texts join texts other on other.crm = texts.crm and other.ticket_id = texts.ticket_id
cross join lateral (values (other.wrote), (other.held_wrote)) as written (wrote)
where texts.id = any(%(ids)s) and written.wrote is not null
order by texts.id, other.id desc

-- name: notified
-- Record that the ticket has this outcome, or a newer one. If this write may have followed that of a newer outcome, the
-- newer one is written again: that of the newest text, or of the text itself.
with w as (
    select w.text as id, w.version, w.overtaken, w.refused, texts.crm, texts.ticket_id, newest.id as newest,
           texts.notified = 0 and not w.overtaken and w.refused is null as first,
           not w.overtaken and texts.outcome > w.version or w.overtaken and texts.write_begun > 0 as late
    from jsonb_to_recordset(%(results)s) as w (text bigint, version int, overtaken boolean, refused text)
    join texts on texts.id = w.text
    left join lateral (
        select newer.id from texts newer
        where newer.crm = texts.crm and newer.ticket_id = texts.ticket_id
          and (coalesce(newer.known, 0), newer.id) > (coalesce(texts.known, 0), texts.id)
          and (newer.notified > 0 or newer.write_begun > 0)
        order by coalesce(newer.known, 0) desc, newer.id desc limit 1
    ) newest on true
), settled as (
    update texts set
        written = greatest(texts.written, w.version),
        notified = case when w.overtaken or w.refused is not null then texts.notified else greatest(texts.notified, w.version) end,
        write_begun = case when w.overtaken then 0 else greatest(texts.write_begun - 1, 0) end,
        write_refused = case when w.overtaken and texts.notified < w.version then 'a newer text has told the ticket'
                        else w.refused end,
        write_attempts = 0,
        outcome = texts.outcome + w.anew::int
    from (
        select w.*, late and newest is null or exists (select from w older where older.late and older.newest = w.id) as anew
        from w
    ) w where texts.id = w.id
    returning texts.id, texts.channel, texts.due_at, w.anew, w.first
), anew as (
    update texts set outcome = texts.outcome + 1
    where texts.id in (select newest from w where late or not overtaken and refused is null)
      and texts.id not in (select id from w) and (texts.outcome <= texts.written or texts.write_begun > 0)
    returning texts.id, texts.channel
), steps as (
    select 'written' as step, channel, null as rule, null as code, now() as at, due_at, 1 as texts from settled where first
), {roll_up}
select id, channel from anew union all select id, channel from settled where anew

-- name: write_later
-- The CRM did not accept the outcome this time. `refused`: why it is not expected to accept it later either.
update texts set
    -- Counts attempts of one kind in a row: a brief failure does not lengthen the pause after a refusal.
    write_attempts = case when (texts.write_refused is null) = (w.refused is null) then texts.write_attempts + 1 else 1 end,
    write_refused = w.refused,
    write_begun = greatest(texts.write_begun - (w.refused is not null)::int, 0)
from jsonb_to_recordset(%(results)s) as w (id bigint, refused text)
where texts.id = w.id returning texts.id, texts.channel

-- name: give_up_write_back
-- Give up the write-back of this outcome.
update texts set written = outcome, write_begun = 0, write_refused = coalesce(write_refused || '; ', '') || %(why)s
where id = %(id)s and outcome > written returning id
