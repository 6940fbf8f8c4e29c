"""A database with many texts, as they are after some days: almost all of them sent, and some of every other state."""

import psycopg

# The statements take the number of texts, %(texts)s. Text n was requested n minutes after the first.
STATEMENTS = (
    """insert into events (crm, event_id, channel, ticket_id, body, received_at)
       select 'salesforce', 'event ' || n, case when n %% 50 = 0 then 'agent' else 'trigger' end, 'case' || n / 2, '{}',
              now() - (%(texts)s - n) * interval '1 minute' from generate_series(1, %(texts)s) n""",
    """insert into texts (event, crm, ticket_id, channel, state, rule, number, code, request, sms, chat, reason,
                          received_at, changed_at, outcome, written)
       select n, 'salesforce', 'case' || n / 2, case when n %% 50 = 0 then 'agent' else 'trigger' end, state,
              'requested', md5((n / 3)::text), case when n %% 100 = 0 then 'non_us_number' end,
              case when n %% 50 = 0 then jsonb_build_object('agent_name', 'agent ' || n %% 40) end,
              jsonb_build_object('end_user_number', '+1415' || lpad((n / 3)::text, 7, '0'), 'outbound_number',
                                 '+16285550199', 'message', 'Hi', 'ticket_id', 'case' || n / 2),
              case when state = 'sent' then jsonb_build_object('id', n, 'status', 'assigned') end, md5('r' || n / 2),
              now() - (%(texts)s - n) * interval '1 minute', now() - (%(texts)s - n) * interval '1 minute', 1,
              (n < %(texts)s - 100)::int
       from (select n, case when n %% 100 = 0 then 'failed' when n %% 101 = 0 then 'skipped'
                            when n %% 997 = 0 then 'unknown'
                            when n %% 1009 = 0 then 'cancelled' when n > %(texts)s - 10 then 'queued'
                            when n > %(texts)s - 20 then 'received' when n > %(texts)s - 30 then 'sending'
                            else 'sent' end as state from generate_series(1, %(texts)s) n) as numbered""",
    """insert into history (text, at, from_state, to_state, why)
       select n, now() - (%(texts)s - n) * interval '1 minute', step[1], step[2], ''
       from generate_series(1, %(texts)s) n
       cross join (values (array['received', 'queued']), (array['queued', 'sending']), (array['sending', 'sent']))
           as steps (step)""",
    """insert into reasons (crm, rule, reason, text)
       select 'salesforce', 'requested', md5('r' || n / 2), max(n) from generate_series(1, %(texts)s) n
       group by n / 2""",
    """insert into recipients (number, text, at)
       select md5((n / 3)::text), max(n), now() from generate_series(1, %(texts)s) n group by n / 3""",
    """insert into chats (chat_id, status, at, source)
       select n::text, 'assigned', now() - (%(texts)s - n) * interval '1 minute', 'webhook'
       from generate_series(1, %(texts)s) n""",
    """insert into suppressions (number, source)
       select '+1415' || lpad(n::text, 7, '0'), 'person' from generate_series(1, %(texts)s / 100) n""",
    """insert into audit (who, source, origin, what, about, at)
       select 'user' || n %% 30, 'cli', 'host', (array['text.cancel', 'key.add', 'number.purge'])[1 + n %% 3],
              'text ' || n, now() - (%(texts)s - n) * interval '1 minute' from generate_series(1, %(texts)s) n""",
    """insert into roll_ups (period, step, channel, rule, code, bucket, texts)
       select date_trunc('hour', now()) - n / 20 * interval '1 hour', 'sent', 'trigger', 'r' || n %% 20, '', 1, 1
       from generate_series(1, least(%(texts)s, 100000)) n""",
)


def fill(connection: psycopg.Connection, texts: int) -> None:
    """Fill an empty database with so many texts and all that belongs to them, and with its statistics."""
    for statement in STATEMENTS:
        connection.execute(statement, {"texts": texts})
    connection.execute("vacuum analyze")
