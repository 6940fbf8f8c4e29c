-- name: reserve
-- The next slots, evenly spaced, for whoever comes first: in how many seconds the first of them is. Several for a batch
-- are as far apart as batches are. None where the account is closed, or where a batch's share is not due yet: in how
-- many seconds it is.
with p as (
    select * from sending_state where account = %(account)s for update
), f as (
    select p.*, case when next_at > clock_timestamp() + %(furthest)s * interval '1 second'  -- the clock was set back
                then clock_timestamp() + %(soon)s * interval '1 second'
                else greatest(next_at, clock_timestamp() + %(soon)s * interval '1 second') end as first
    from p
), g as (
    select f.*, stopped_why is not null or coalesce(held_until > clock_timestamp(), false) as closed,
           case when %(stands_back)s and batch_next_at < first + %(furthest)s * interval '1 second'
           then greatest(extract(epoch from batch_next_at - first), 0) else 0 end::float8 as ask_again
    from f
), given as (
    update sending_state set
        next_at = g.first + interval '1 second' * (%(apart)s
            + (%(count)s - 1) * case when %(batch)s then %(apart_batches)s else %(apart)s end),
        batch_next_at = case when %(batch)s then g.first + %(count)s * %(apart_batches)s * interval '1 second'
                        else sending_state.batch_next_at end
    from g where sending_state.account = g.account and not g.closed and g.ask_again = 0
)
select extract(epoch from first - clock_timestamp())::float8, ask_again,
       stopped_why, confirmed, extract(epoch from held_until - clock_timestamp())::float8, held_why
from g

-- name: put_off
-- The next slots are so much later.
update sending_state set
    next_at = greatest(next_at, clock_timestamp()) + %(seconds)s * interval '1 second',
    batch_next_at = case when %(batch)s then greatest(batch_next_at, clock_timestamp()) + %(seconds)s * interval '1 second'
                    else batch_next_at end
where account = %(account)s

-- name: begin
-- The account has been used.
insert into sending_state (account, next_at) values (%(account)s, now()) on conflict (account) do nothing
