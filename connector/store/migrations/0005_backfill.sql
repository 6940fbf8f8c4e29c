-- Added only, so that workers of the version before go on beside those of this one.

-- A back-fill: which cases, and how far it has come.
create table plan (
    id            text primary key,
    crm           text not null,
    query         jsonb not null,       -- {"where": …}, {"whole": …}; empty: ids that were given
    ask           jsonb not null,       -- rule and template, for each of its texts
    state         text not null check (state in ('planning', 'planned', 'canary', 'cooling', 'running', 'paused',
                                                 'stopped', 'cancelled', 'done')),
    why           text not null default '',
    canary        int not null default 0,           -- texts that go first
    most_failed   double precision not null default 0,  -- share of them that may fail
    cooling       double precision not null default 0,  -- seconds between them and the others
    cooling_until timestamptz,
    watched_until timestamptz,          -- it pauses when nobody watches it any more; null: it runs on its own
    report        jsonb,                -- what the plan found, for people
    made_at       timestamptz not null default now(),
    changed_at    timestamptz not null default now()
);

-- Its cases, in the order in which they are texted.
create table plan_case (
    plan      text not null references plan on delete cascade,
    position  bigint not null,
    ticket_id text not null,
    skip      text,                     -- why it is not texted; null: it is
    number    text,                     -- its hash: another case of the same customer, or another number by now
    segments  int not null default 0,
    tries     int not null default 0,   -- how often it was taken in
    text      bigint,                   -- null: not taken in
    primary key (plan, position),
    unique (plan, ticket_id)
);
create index plan_case_text on plan_case (text) where text is not null;
create index plan_case_waiting on plan_case (plan, position) where skip is null and text is null;
