-- name: numbers
-- The numbers of the texts that have this chat.
select distinct sms ->> 'end_user_number' from texts
where chat is not null and chat ->> 'id' = %(chat)s and sms is not null
