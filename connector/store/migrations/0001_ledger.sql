-- What came in. Kept until its retention ends, so that a corrected mapping can be applied again.
create table event (
    id          bigint generated always as identity primary key,
    crm         text not null,
    event_id    text not null,
    door        text not null check (door in ('agent', 'trigger', 'batch')),
    ticket_id   text,                   -- null: nothing to text about, `problem` says why
    changed_by  text,                   -- the CRM's user whose change it was
    body        jsonb,
    raw         bytea,                  -- only of what could not be read
    problem     text,
    received_at timestamptz not null default now(),
    unique (crm, event_id)              -- a redelivery is harmless
);

-- What became of it.
create table text (
    id            bigint generated always as identity primary key,
    event         bigint not null unique references event,
    crm           text not null,
    ticket_id     text not null,
    door          text not null,
    state         text not null default 'received'
                  check (state in ('received', 'queued', 'sending', 'sent',
                                   'skipped', 'failed', 'unknown', 'cancelled')),
    rule          text,
    sms           jsonb,                -- what was decided: numbers and message
    same_as       bigint references text,   -- skipped: this text has the same reason, and the ticket is told of it
    chat          jsonb,                -- {"id": int, "status": text}
    why           text not null default '',
    attempts      int not null default 0,   -- calls that certainly did nothing
    busy_since    timestamptz,          -- since when the customer has been in another session
    not_before    timestamptz,
    outcome       int not null default 0,   -- counts the outcomes that the ticket has to learn
    written       int not null default 0,   -- the last of them that the ticket has, or can never have
    write_attempts int not null default 0,
    write_refused text,                 -- why the CRM does not take it; shown to a person
    changed_at    timestamptz not null default now()
);
create index text_ticket on text (crm, ticket_id, id);

-- One reason, one text: whichever doors it came through. Outlives the text's own retention.
create table reason (
    crm    text not null,
    rule   text not null,
    reason text not null,               -- SHA-256 over the rule's once_per fields
    text   bigint not null references text,
    primary key (crm, rule, reason)
);
create index reason_text on reason (text);

create table history (
    text       bigint not null references text,
    at         timestamptz not null default clock_timestamp(),
    from_state text not null,
    to_state   text not null,
    why        text not null
);
create index history_text on history (text, at);

-- The requests-a-second promise, for all workers on all machines together: when the next request may leave.
create table pace (
    lane    text primary key,
    next_at timestamptz not null
);
