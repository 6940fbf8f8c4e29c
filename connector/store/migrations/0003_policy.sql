-- Added only, so that workers of the version before go on beside those of this one.

alter table text
    add column ask   jsonb,             -- what a person or a batch wants beyond what the ticket says
    add column trace jsonb;             -- what the policy looked at, and what it said

-- Who has opted out with us: nobody can override it. Outlives everything else, at the person's own wish.
create table suppression (
    number   text primary key,          -- E.164
    why      text not null default '',
    added_by text not null default '',
    added_at timestamptz not null default now()
);

-- When a number was texted last: one text in the window, whichever door and ticket. The number is hashed.
create table recipient (
    number      text primary key,       -- the first 32 hexadecimal digits of its SHA-256
    text        bigint not null,
    at          timestamptz not null,
    before_text bigint,                 -- the text before, and when: for when this one certainly was not sent
    before_at   timestamptz             -- without one: until when the number had been left alone
);
create index recipient_text on recipient (text);

-- Who may use the API. Of a key only its hash is kept.
create table api_key (
    name       text primary key,
    hash       text not null unique,    -- SHA-256, hexadecimal
    rights     text[] not null,
    per_minute int not null,
    added_at   timestamptz not null default now()
);

-- How often a caller has asked in this minute, at all web sides together.
create table api_use (
    caller text primary key,
    minute timestamptz not null,
    used   int not null
);

-- What a caller asked under which key: the same key is the same text.
create table idempotency (
    caller text not null,
    key    text not null,
    body   text not null,               -- SHA-256 of what was asked
    text   bigint,
    at     timestamptz not null default now(),
    primary key (caller, key)
);
create index idempotency_at on idempotency (at);

-- What is left to erase once its retention has ended; the index of the version before knows numbers only.
create index text_asked on text (changed_at) where ask is not null;
