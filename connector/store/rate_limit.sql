-- name: reserve
-- Reserve the next slots, evenly spaced; the seconds until the first of them. Several slots for a batch are as far
-- apart as batch slots are. None while the account is paused, or while the batch's share is not due: then the seconds
-- until it is.
with p as (
    select * from sending_state where account = %(account)s for update
), f as (
    select p.*, case when next_at > clock_timestamp() + %(furthest)s * interval '1 second'  -- the clock was set back
                then clock_timestamp() + %(soon)s * interval '1 second'
                else greatest(next_at, clock_timestamp() + %(soon)s * interval '1 second') end as first
    from p
), g as (
    select f.*, tripped_why is not null or coalesce(paused_until > clock_timestamp(), false) as paused,
           case when %(stands_back)s and batch_next_at < first + %(furthest)s * interval '1 second'
           then greatest(extract(epoch from batch_next_at - first), 0) else 0 end::float8 as ask_again
    from f
), given as (
    update sending_state set
        next_at = g.first + interval '1 second' * (%(apart)s
            + (%(count)s - 1) * case when %(batch)s then %(apart_batches)s else %(apart)s end),
        batch_next_at = case when %(batch)s then g.first + %(count)s * %(apart_batches)s * interval '1 second'
                        else sending_state.batch_next_at end
    from g where sending_state.account = g.account and not g.paused and g.ask_again = 0
)
select extract(epoch from first - clock_timestamp())::float8, ask_again,
       tripped_why, confirmed, extract(epoch from paused_until - clock_timestamp())::float8, paused_why
from g

-- name: put_off
-- Delay the next slots.
update sending_state set
    next_at = greatest(next_at, clock_timestamp()) + %(seconds)s * interval '1 second',
    batch_next_at = case when %(batch)s then greatest(batch_next_at, clock_timestamp()) + %(seconds)s * interval '1 second'
                    else batch_next_at end
where account = %(account)s

-- name: begin
-- Create the account's row before its first use.
insert into sending_state (account, next_at) values (%(account)s, now()) on conflict (account) do nothing
