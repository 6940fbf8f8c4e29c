-- part: fits
-- Whether a text fits the filters that have an index.
(%(text)s::bigint is null or id = %(text)s)
  and (%(state)s::text is null or state = %(state)s)
  and (%(ticket)s::text is null or crm = any(%(crms)s) and ticket_id = %(ticket)s)
  and (%(chat)s::text is null or id = any(array(select id from texts where chat ->> 'id' = %(chat)s)))
  and (%(before)s::bigint is null or (received_at, id) < (select received_at, id from texts where id = %(before)s))
  and (%(number)s::text is null or number = %(number)s)
  and (%(code)s::text is null or code = %(code)s)
  and (%(since)s::timestamptz is null or received_at >= %(since)s)
  and (%(until)s::timestamptz is null or received_at < %(until)s)
  and (%(agent)s::text is null or channel = 'agent' and (lower(request ->> 'agent_name') = lower(%(agent)s)
                                                         or lower(request ->> 'agent_email') = lower(%(agent)s)))
  and (not %(not_written)s or outcome > written)
  and case %(only)s::text
      when 'waiting' then state in ('received', 'queued')
      when 'held' then state in ('received', 'queued') and not_before > now()
      when 'scheduled' then state = 'received' and not_before > now()
      when 'refused' then outcome > written and write_refused is not null
      when 'contradicted' then contradicted is not null
      else true end

-- part: fits_too
-- Whether it fits the other filters.
(%(rule)s::text is null or rule = %(rule)s) and (%(channel)s::text is null or channel = %(channel)s)

-- part: columns
-- A text in a list.
id, crm, ticket_id, channel, state, rule, why, code, {present_chat}, (chat ->> 'id')::bigint as chat_id, outcome, written,
       write_refused, contradicted, busy_since, received_at, changed_at,
       coalesce(request ->> 'agent_name', request ->> 'agent_email') as agent,
       case when state in ('received', 'queued') and not_before > now() then not_before end as leaves_at

-- name: find
-- Texts for people, newest first. A filter that is null matches all. Each filter of the inner query has an index, except
-- `state` sent, which most texts have. The others are applied to the newest that fit those, in `scanned`.
select {columns}
from (
    select * from texts where {fits}
    order by received_at desc, id desc limit %(scanned)s
) as texts
where {fits_too}
order by received_at desc, id desc limit %(most)s

-- part: newest
-- The newest texts that fit all filters.
select id, received_at from (
    select * from texts where {fits}
    order by received_at desc, id desc limit %(scanned)s
) as texts
where {fits_too}
order by received_at desc, id desc limit %(most)s

-- name: count
-- How many texts fit, up to a limit.
select count(*) from ({newest}) as texts

-- name: freeze
-- Make the texts that fit the items of a bulk action.
insert into bulk_items (bulk, text) select %(bulk)s, id from ({newest}) as texts

-- name: fitting
-- Those of these texts that fit a search that was stored.
select id from texts where id = any(%(ids)s) and {fits} and {fits_too}

-- name: of
-- These texts, in the same form and order.
select {columns}
from texts where id = any(%(ids)s) order by received_at desc, id desc limit %(most)s
