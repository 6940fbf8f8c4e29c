-- name: claim
-- Claim texts before the call: set `sending`, unless the account or the text is paused, if the revision is still the one that was
-- read. At that revision the text holds its reason and its number: releasing them makes a new revision. Of several
-- attempts for one text, one succeeds; the results are by token. An unknown text may be claimed once, if a second
-- attempt was planned (it has a time). A number that was opted out since the policy decided, or that waits for a review,
-- is not texted: the policy decides again. While the account is paused, the result is the pause, read in the same
-- statement: read later, the pause could be over, and the texts would seem to be claimed by another worker. An operator's
-- pause is found in the same way; `scope` is null where there is none. A share of a daily budget is taken with the claim.
with paused as (
    select tripped_why, confirmed, extract(epoch from paused_until - now())::float8 as paused_for, paused_why
    from sending_state where account = %(account)s and (tripped_why is not null or paused_until > now())
), c as (
    select texts.id, texts.revision, w.token, w.share, texts.state as from_state, texts.changed_at as from_changed_at,
           operators.*
    from unnest(%(ids)s::bigint[], %(revisions)s::int[], %(tokens)s::bigint[], %(shares)s::jsonb[])
        as w (id, revision, token, share)
    cross join lateral (select * from texts where texts.id = w.id offset 0) texts  -- an index lookup for each text
    left join lateral ({pause_of_text}) operators on true
    where texts.revision = w.revision
        and texts.restored_at is null
        and (texts.state = 'queued' or texts.state = 'unknown' and texts.not_before <= now() and not texts.tried_again)
        and not exists (select from suppressions where number = texts.sms ->> 'end_user_number')
        and not exists (select from opt_out_reviews
                        where number = texts.sms ->> 'end_user_number' and decided_at is null)
), claimed as (
    update texts set
        state = 'sending',
        revision = texts.revision + 1,
        tried_again = (c.from_state = 'unknown'),
        unclear = case when c.from_state = 'unknown' and cardinality(texts.unclear) = 0 then array[texts.revision]
                  else texts.unclear end,
        claim_token = c.token,
        claim_until = clock_timestamp() + %(good_for)s * interval '1 second',
        budget_share = coalesce(c.share, texts.budget_share),
        budget_returned = texts.budget_returned and c.share is null,
        changed_at = now()
    from c where texts.id = c.id and texts.revision = c.revision and not exists (select from paused)
      and c.scope is null
    returning texts.id, texts.claim_token, texts.revision, c.from_state, texts.channel, texts.rule, texts.code,
              c.from_changed_at, texts.due_at
), noted as (
    insert into history (text, from_state, to_state, why) select id, from_state, 'sending', '' from claimed
), steps as (
    select from_state as step, channel, rule, code, from_changed_at as at, due_at, -1 as texts from claimed
), {roll_up}
select claim_token as token, revision as claim, null as tripped_why, null as confirmed, null as paused_for, null as paused_why,
       null as scope, null as name, null as why, null as paused_by, null::timestamptz as since, null::timestamptz as ends_at
from claimed
union all
select c.token, null, paused.*, c.scope, c.name, c.why, c.paused_by, c.since, c.ends_at
from c left join paused on true where c.scope is not null or exists (select from paused)

-- name: unclaim
-- Undo the claims of attempts that lost the connection during the claim and made no call, if they were made. An answer
-- to an earlier call that arrived meanwhile is kept: texts that were sent have an outcome to write back.
with c as (
    select texts.id, case when texts.chat is not null then 'sent'
                    when cardinality(texts.unclear) > 0 then 'unknown' else 'queued' end as to_state
    from unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) as w (id, token)
    join texts on texts.id = w.id and texts.claim_token = w.token and texts.state = 'sending'
    for update of texts
), back as (
    update texts set state = c.to_state, revision = texts.revision + 1, tried_again = false, changed_at = now(),
                    outcome = texts.outcome + (c.to_state = 'sent')::int,
                    budget_returned = texts.budget_returned or c.to_state = 'queued' and texts.budget_share is not null,
                    known = case when c.to_state = 'sent' then nextval('outcome_order') else texts.known end
    from c where texts.id = c.id
    returning texts.id, texts.state, texts.channel, texts.rule, texts.code, texts.changed_at, texts.due_at,
              texts.budget_share as share
), noted as (
    insert into history (text, from_state, to_state, why)
    select id, 'sending', state, 'the database was lost before the call' from back
), given_back as (
    insert into daily_budget_corrections (number, day, texts, segments)
    select share ->> 'number', (share ->> 'day')::date, -1, -(share ->> 'segments')::int
    from back where state = 'queued' and share is not null
), steps as (
    select state as step, channel, rule, code, changed_at as at, due_at, 1 as texts from back
), {roll_up}
select id, channel from back where state = 'sent'
