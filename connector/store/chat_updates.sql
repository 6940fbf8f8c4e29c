-- name: follow
-- The tickets of these texts show a chat now, with this status. A text that tells its ticket again is written once more:
-- a status that is being written may have reached the ticket before or after it.
insert into chat_updates (text, chat, written, due_at)
select texts.id, chats.chat_id, r.written, case when chats.status = r.status then null else now() end
from jsonb_to_recordset(%(rows)s) as r (text bigint, status text, written jsonb)
join texts on texts.id = r.text
join texts reported on reported.id = coalesce(texts.same_as, texts.id) and reported.state = 'sent'
join chats on chats.chat_id = reported.chat ->> 'id'
on conflict (text) do update set chat = excluded.chat, written = null, changes = chat_updates.changes + 1,
                                due_at = coalesce(chat_updates.due_at, now())

-- name: chats_of
-- The chats that these texts tell of.
select reported.chat ->> 'id' from texts join texts reported on reported.id = coalesce(texts.same_as, texts.id)
where texts.id = any(%(ids)s) and reported.chat is not null

-- name: due
-- Whether a ticket of this CRM has a status to write.
select from chat_updates join texts on texts.id = chat_updates.text
where chat_updates.due_at <= now() and texts.crm = %(crm)s limit 1

-- name: claim
-- Claim the statuses that are due. Outcomes come first: while a text of the ticket has one to write, or a write of one
-- has no clear result, the status waits; and while a note of a hold is being written to it. `over`: the ticket has the outcome of a newer text, or the text tells of no
-- such chat any more.
with due as (
    select u.text, u.begun,
           reported.state <> 'sent' or reported.chat ->> 'id' is distinct from u.chat
               or exists (select from texts newer where newer.crm = texts.crm and newer.ticket_id = texts.ticket_id
                          and (coalesce(newer.known, 0), newer.id) > (coalesce(texts.known, 0), texts.id)
                          and newer.notified > 0) as over,
           exists (select from texts other where other.crm = texts.crm and other.ticket_id = texts.ticket_id
                   and (other.write_begun > 0
                        or other.held_begun > now() - interval '2 minutes'
                        or other.outcome > other.written and other.state not in ('received', 'queued', 'sending'))
                  ) as waits
    from chat_updates u join texts on texts.id = u.text join texts reported on reported.id = coalesce(texts.same_as, texts.id)
    where u.due_at <= now() and texts.crm = %(crm)s
    order by u.due_at, u.text limit %(most)s for update of u skip locked
), waiting as (
    update chat_updates u set due_at = now() + %(wait)s * interval '1 second'
    from due where u.text = due.text and due.waits and not due.over
), claimed as (
    update chat_updates u set claim = u.claim + 1, begun = u.begun + 1, due_at = now() + %(good_for)s * interval '1 second'
    from due where u.text = due.text and not due.waits and not due.over
    returning u.text, u.claim, u.changes, u.begun, u.written, u.attempts
)
select due.text, due.over, due.begun > 0 as unclear, claimed.claim, claimed.changes, claimed.written, claimed.attempts
from due left join claimed on claimed.text = due.text
where due.over or claimed.text is not null

-- name: drop
-- The tickets of these texts no longer show their chats.
delete from chat_updates where text = any(%(ids)s)

-- name: newer_again
-- A status that may have reached the ticket after a newer text's outcome: that outcome is written again.
update texts set outcome = outcome + 1
where id in (
    select newest.id from texts cross join lateral (
        select newer.id from texts newer
        where newer.crm = texts.crm and newer.ticket_id = texts.ticket_id
          and (coalesce(newer.known, 0), newer.id) > (coalesce(texts.known, 0), texts.id)
          and (newer.notified > 0 or newer.write_begun > 0)
        order by coalesce(newer.known, 0) desc, newer.id desc limit 1
    ) newest where texts.id = any(%(ids)s))
  and (outcome <= written or write_begun > 0)
returning id, channel

-- name: written
-- The CRM has accepted the status, or the ticket had it. It is written once more if another worker has claimed it
-- meanwhile, or if an earlier write may still arrive.
update chat_updates u set
    written = case when u.claim = r.claim and u.begun <= 1 then r.written end,
    changes = u.changes + (u.claim <> r.claim)::int,
    due_at = case when u.claim <> r.claim then coalesce(u.due_at, now())
             when u.begun > 1 then now() + %(again)s * interval '1 second'
             when u.changes <> r.changes then now() end,
    begun = case when u.claim = r.claim then 0 else u.begun end,
    attempts = 0,
    refused = null
from jsonb_to_recordset(%(rows)s) as r (text bigint, claim int, changes int, written jsonb) where u.text = r.text

-- name: later
-- The CRM did not accept the status this time. `refused`: why; null: it is not known whether it did.
update chat_updates u set
    written = case when r.refused is not null then u.written end,
    due_at = now() + r.pause * interval '1 second',
    begun = greatest(u.begun - (r.refused is not null)::int, 0),
    attempts = u.attempts + 1,
    refused = r.refused
from jsonb_to_recordset(%(rows)s) as r (text bigint, claim int, pause float8, refused text)
where u.text = r.text and u.claim = r.claim

-- name: refused
-- Why the CRM refuses the status of this text's chat.
select refused from chat_updates where text = %(id)s and refused is not null
