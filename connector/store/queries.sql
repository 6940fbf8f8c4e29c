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
from texts join texts other on other.crm = texts.crm and other.ticket_id = texts.ticket_id and other.id <> texts.id
where texts.id = any(%(ids)s) and other.outcome > other.written
