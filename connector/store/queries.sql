-- part: under_way
-- Whether another text of the ticket has not ended. One that is scheduled for later keeps nobody waiting.
(other.state in ('queued', 'sending') or other.state = 'received' and coalesce(other.not_before <= now(), true))

-- part: another_waits
-- Whether another text of the ticket reports before one that sent nothing: one that has not ended; one that is unknown,
-- unless a trigger made this one; or one that was sent and whose ticket has not been told.
exists (select from texts other where other.crm = texts.crm and other.ticket_id = texts.ticket_id and other.id <> texts.id
        and ({under_way} or other.state = 'unknown' and texts.channel <> 'trigger'
             or other.state = 'sent' and other.outcome > other.written))

-- part: beside
-- Other texts of these texts' tickets with an outcome to write back. A condition on their state follows.
select distinct other.id, other.channel
from texts cross join lateral (  -- an index lookup for each ticket, whatever the planner's statistics say
    select * from texts other where other.crm = texts.crm and other.ticket_id = texts.ticket_id offset 0
) other
where texts.id = any(%(ids)s) and other.id <> texts.id and other.outcome > other.written

-- part: forget_chats
-- Forget the chats that `forgotten` names, and keep their last status with their texts.
updates as (
    delete from chat_updates using forgotten where chat_updates.chat = forgotten.chat_id
), folded as (
    update texts set chat = texts.chat || jsonb_build_object('status', forgotten.status, 'ended', forgotten.ended)
    from forgotten where texts.chat ->> 'id' = forgotten.chat_id and texts.chat is not null
)
delete from chats using forgotten where chats.chat_id = forgotten.chat_id

-- part: present_chat
-- A text's chat with its newest status, and whether it has ended.
coalesce((select texts.chat || jsonb_build_object('status', chats.status, 'ended', chats.ended)
          from chats where chats.chat_id = texts.chat ->> 'id'), texts.chat) as chat

-- part: pause_of_text
-- The operator's pause that covers a text, if any: the widest one. `texts` is the text.
select pause.scope, pause.name, pause.why, pause.paused_by, pause.since, pause.ends_at
from operator_pauses pause
where (pause.ends_at is null or pause.ends_at > clock_timestamp())
  and case pause.scope when 'all' then true
                       when 'account' then pause.name in ('ccaip', texts.crm)
                       when 'channel' then pause.name = texts.channel
                       else pause.name = coalesce(texts.rule, texts.accepted ->> 'rule', texts.request ->> 'rule') end
order by pause.scope <> 'all', pause.scope, pause.name limit 1

-- part: outcome_states
('sent', 'skipped', 'failed', 'unknown', 'cancelled')

-- part: latency_bounds
-- The upper bounds of latencies in the roll-ups, in seconds.
array[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 43200, 86400, 'infinity']::float8[]

-- part: roll_up
-- Count the `steps` of a statement: (step, channel, rule, code, at, due_at, texts), where `texts` is 1 for a state that a
-- text got and -1 for one that it left. Texts without an outcome are not counted: there are few, and an index has them.
rolled_up as (
    insert into roll_up_changes (period, step, channel, rule, code, bucket, texts)
    select date_bin('5 minutes', at, timestamptz 'epoch'), step, channel, coalesce(rule, ''), coalesce(code, ''),
           ({latency_bounds})[1 + width_bucket(extract(epoch from at - due_at)::float8, {latency_bounds})], sum(texts)
    from steps where step in {outcome_states} or step = 'written'
    group by 1, 2, 3, 4, 5, 6 having sum(texts) <> 0
)

-- part: settlements
-- Texts that left `unknown` within 7 days, and how long they took. A second try is no settlement, its result is.
(
    select text, max(at) filter (where to_state <> 'unknown') - min(at) filter (where to_state = 'unknown') as took
    from history where to_state <> 'sending' and text in (
        select text from history where from_state = 'unknown' and to_state <> 'unknown' and at > now() - interval '7 days')
    group by text having (array_agg(to_state order by at desc))[1] not in ('unknown', 'queued', 'received')
) settlements
