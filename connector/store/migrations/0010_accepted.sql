-- A text that was accepted keeps its rule; outcomes count in the order in which they became known.
-- Added only.

alter table text
    add column accepted jsonb,      -- by which rule a trigger was accepted: {"rule", "values"}; see model.Accepted
    add column wrote    jsonb,      -- the last write to the ticket, of the fields that rules ask about, by their names
    add column known    bigint;     -- the place of its outcome among all outcomes

create sequence outcome_order;
