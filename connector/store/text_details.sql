-- name: details
-- One text and its event.
select texts.id, texts.crm, texts.ticket_id, texts.channel, texts.state, texts.why, texts.code, texts.rule,
       texts.sms ->> 'end_user_number' as number, texts.number as number_hash, texts.sms ->> 'outbound_number' as outbound_number,
       texts.sms ->> 'message' as message, events.received_at, texts.changed_at,
       case when texts.state in ('received', 'queued') and texts.not_before > now() then texts.not_before end as leaves_at,
       (texts.request ->> 'send_at')::timestamptz as send_at, texts.same_as, texts.trace,
       coalesce(texts.request ->> 'agent_name', texts.request ->> 'agent_email') as agent,
       nullif(texts.request ->> 'override', '') as override, texts.request ->> 'reason_name' as reason_name,
       texts.request ->> 'template' as template, texts.request ->> 'language' as language,
       texts.attempts, texts.busy_since, cardinality(texts.unclear) as unclear, texts.contradicted,
       texts.outcome, texts.written, texts.notified, texts.write_attempts, texts.write_begun, texts.write_refused, texts.held,
       {present_chat}, updates.changes as chat_updates, updates.due_at as chat_due_at, updates.refused as chat_refused,
       events.event_id, events.changed_by, events.body, events.problem,
       array(select distinct source from suppressions where suppressions.number = texts.sms ->> 'end_user_number'
             order by source) as listed_by
from texts join events on events.id = texts.event left join chat_updates updates on updates.text = texts.id
where texts.id = %(id)s

-- name: steps
-- Every transition of one text, oldest first.
select at, from_state, to_state, why from history where text = %(id)s order by at

-- name: reports
-- What CCAI Platform reported about a chat, oldest first.
select event_type, occurred_at, received_at, processed_at, problem from chat_events
where chat_id = %(chat)s order by occurred_at, id limit %(reports)s

-- name: followers
-- Texts that were skipped because this one has their reason.
select id, ticket_id from texts where same_as = %(id)s order by id limit %(followers)s
