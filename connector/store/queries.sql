-- part: another_waits
-- Whether another text of the ticket reports before one that sent nothing: one that has not ended; one that is unknown,
-- unless a trigger made this one; or one that was sent and whose ticket has not been told.
exists (select from texts other where other.crm = texts.crm and other.ticket_id = texts.ticket_id and other.id <> texts.id
        and (other.state in ('received', 'queued', 'sending') or other.state = 'unknown' and texts.channel <> 'trigger'
             or other.state = 'sent' and other.outcome > other.written))

-- part: beside
-- Other texts of these texts' tickets with an outcome to write back. A condition on their state follows.
select distinct other.id, other.channel
from texts join texts other on other.crm = texts.crm and other.ticket_id = texts.ticket_id and other.id <> texts.id
where texts.id = any(%(ids)s) and other.outcome > other.written

-- part: pause_of_text
-- The operator's pause that covers a text, if any: the widest one. `texts` is the text.
select pause.scope, pause.name, pause.why, pause.paused_by, pause.since, pause.ends_at
from operator_pauses pause
where (pause.ends_at is null or pause.ends_at > clock_timestamp())
  and case pause.scope when 'all' then true
                       when 'account' then pause.name in ('ccaip', texts.crm)
                       when 'channel' then pause.name = texts.channel
                       else pause.name = coalesce(texts.rule, texts.accepted ->> 'rule', texts.ask ->> 'rule') end
order by pause.scope <> 'all', pause.scope, pause.name limit 1
