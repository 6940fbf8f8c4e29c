-- name: observe
insert into chats as c (chat_id, status, at, source, ended)
values (%(chat)s, %(status)s, %(at)s, %(source)s, %(ended)s)
on conflict (chat_id) do update set status = excluded.status, at = excluded.at, source = excluded.source,
                                    ended = excluded.ended
    where excluded.at > c.at and excluded.ended >= c.ended or excluded.ended > c.ended
