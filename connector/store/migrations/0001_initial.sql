-- Incoming events. Kept until their retention ends, so that a corrected mapping can be applied again.
create table events (
    id          bigint generated always as identity primary key,
    crm         text not null,
    event_id    text not null,
    channel     text not null check (channel in ('agent', 'trigger', 'batch')),
    ticket_id   text,                   -- null: nothing to text about, `problem` says why
    changed_by  text,                   -- the CRM's user whose change it was
    body        jsonb,
    raw         bytea,                  -- only of what could not be read
    problem     text,
    received_at timestamptz not null default now(),
    unique (crm, event_id)              -- a redelivery is harmless
);
create index events_kept on events (received_at) where body is not null or raw is not null;

-- A text for each event, and what became of it. No foreign key to events: the same statement writes both rows, events
-- are never deleted, and the check costs as much as the write.
create table texts (
    id             bigint generated always as identity primary key,
    event          bigint not null unique,
    crm            text not null,
    ticket_id      text not null,
    channel        text not null,
    state          text not null default 'received'
                   check (state in ('received', 'queued', 'sending', 'sent',
                                    'skipped', 'failed', 'unknown', 'cancelled')),
    -- Counts the transitions. Each names the revision that it starts from; a claim's number is the revision it made.
    revision       int not null default 0,
    why            text not null default '',
    changed_at     timestamptz not null default now(),

    -- What was asked for, and what was decided.
    ask            jsonb,               -- what a person or a batch wants beyond what the ticket says
    rule           text,
    sms            jsonb,               -- numbers and message
    reason         text,                -- what it claims, or claimed, under its rule
    same_as        bigint references texts,     -- skipped: this text has the same reason, and the ticket is told of it
    trace          jsonb,               -- each check of the policy, and its result
    accepted       jsonb,               -- by which rule a trigger was accepted: {"rule", "values"}; see model.Accepted

    -- Sending.
    not_before     timestamptz,
    attempts       int not null default 0,          -- calls that certainly did nothing
    busy_since     timestamptz,         -- since when the customer has been in another session
    suspected      int not null default 0,          -- how often it alone was refused while others passed
    refused_at     timestamptz,         -- when it last met what all would meet
    tried_again    boolean not null default false,  -- an unknown text gets one more try, where the settings say so
    claim_until    timestamptz,         -- sending: its worker is given up then, by the database's clock
    claim_token    bigint,              -- which try claimed it: one that cannot know undoes it
    unclear        int[] not null default '{}',     -- claims whose call had no clear answer, oldest first
    chat           jsonb,               -- {"id": int, "status": text}
    contradicted   text,                -- an answer that came after it had been settled otherwise

    -- Writing back.
    outcome        int not null default 0,          -- counts the outcomes that the ticket has to learn
    known          bigint,              -- the place of its outcome among all outcomes
    written        int not null default 0,          -- the last outcome that the ticket has, or can never have
    told           int not null default 0,          -- the last outcome that the CRM really took
    wrote          jsonb,               -- the last write to the ticket, of the fields that rules ask about
    write_begun    int not null default 0,          -- writes to the ticket that were begun and have no clear end
    write_attempts int not null default 0,
    write_refused  text                 -- why the CRM does not take it; shown to a person
)
-- A row is updated four times within seconds: room on its page keeps the indexes out of it.
with (fillfactor = 60);
create index texts_ticket on texts (crm, ticket_id, id);
create index texts_unknown on texts (changed_at) where state = 'unknown';
create index texts_claimed on texts (claim_until) where state = 'sending';
create index texts_same_as on texts (same_as) where same_as is not null;
create index texts_chat on texts ((chat ->> 'id')) where chat is not null;
-- Everything that still needs a job: searched for texts that have none.
create index texts_open on texts (id) where state in ('received', 'queued') or outcome > written or write_begun > 0;
-- What is left to erase once its retention has ended.
create index texts_kept on texts (changed_at) where sms is not null;
create index texts_asked on texts (changed_at) where ask is not null;
create index texts_words on texts (changed_at) where sms is null and ask is null
    and (why <> '' or trace is not null or accepted is not null or wrote is not null or write_refused is not null);

-- Outcomes count in the order in which they became known.
create sequence outcome_order;

-- Every transition. No foreign key: the statement that moves a text writes the row.
create table history (
    text       bigint not null,
    at         timestamptz not null default clock_timestamp(),
    from_state text not null,
    to_state   text not null,
    why        text not null
);
create index history_text on history (text, at);

-- One reason, one text: whichever channels it came through. Outlives the text's own retention.
create table reasons (
    crm    text not null,
    rule   text not null,
    reason text not null,               -- keyed hash of the rule's once_per fields; see store/pseudonyms.py
    text   bigint not null,
    primary key (crm, rule, reason)
);
create index reasons_text on reasons (text);

-- When a number was texted last: one text in the window, whichever channel and ticket.
create table recipients (
    number      text primary key,       -- keyed hash
    text        bigint not null,
    at          timestamptz not null,
    before_text bigint,                 -- the text before, and when: for when this one certainly was not sent
    before_at   timestamptz             -- without one: until when the number had been left alone
);
create index recipients_text on recipients (text);
create index recipients_before on recipients (before_text) where before_text is not null;

-- Who has opted out with us: nobody can override it. Outlives everything else, at the person's own wish.
create table suppressions (
    number   text primary key,          -- E.164
    why      text not null default '',
    added_by text not null default '',
    added_at timestamptz not null default now()
);

-- Rate limit and circuit breaker of each remote account, for all workers on all machines together.
create table sending_state (
    account       text primary key,
    next_at       timestamptz not null,                 -- when the next request may leave
    batch_next_at timestamptz,                          -- when the next request of a batch may leave
    people_until  timestamptz,                          -- texts that come before batches wait at least until then
    held_until    timestamptz,                          -- the account asked for a pause, or cannot be reached
    held_why      text,
    holds         int not null default 0,               -- in a row, since anything passed
    stopped_at    timestamptz,                          -- a setting is wrong: nothing is sent until it is put right
    stopped_why   text,
    confirmed     boolean not null default true,        -- stopped, and a probe has found it wrong too
    for_people    boolean not null default false,       -- stopped until a person says so: no probe resumes it
    probes        int not null default 0,               -- how often it was found wrong in a row
    probed_at     timestamptz,
    probe_at      timestamptz,                          -- when it is probed next
    passed_at     timestamptz,                          -- when a call last had an answer that is no setting's fault
    refused_text  bigint                                -- the text whose refusal stopped it last
);

-- What one worker at a time does now and then.
create table leases (
    name    text primary key,
    next_at timestamptz not null,
    cursor  timestamptz                 -- how far it has come, where that matters
);

-- A back-fill: which cases, and how far it has come.
create table plans (
    id            text primary key,
    crm           text not null,
    query         jsonb not null,       -- {"where": …}, {"whole": …}; empty: ids that were given
    ask           jsonb not null,       -- rule and template, for each of its texts
    state         text not null check (state in ('planning', 'planned', 'canary', 'cooling', 'running', 'paused',
                                                 'stopped', 'cancelled', 'done')),
    why           text not null default '',
    canary        int not null default 0,               -- texts that go first
    max_failed   double precision not null default 0,  -- share of them that may fail
    cooling       double precision not null default 0,  -- seconds between them and the others
    cooling_until timestamptz,
    watched_until timestamptz,          -- it pauses when nobody watches it any more; null: it runs on its own
    report        jsonb,                -- what the plan found, for people
    made_at       timestamptz not null default now(),
    changed_at    timestamptz not null default now()
);

-- Its cases, in the order in which they are texted.
create table plan_cases (
    plan      text not null references plans on delete cascade,
    position  bigint not null,
    ticket_id text not null,
    skip      text,                     -- why it is not texted; null: it is
    number    text,                     -- its keyed hash: another case of the same customer, or another number by now
    segments  int not null default 0,
    tries     int not null default 0,   -- how often it became a text
    text      bigint,                   -- null: none yet
    primary key (plan, position),
    unique (plan, ticket_id)
);
create index plan_cases_text on plan_cases (text) where text is not null;
create index plan_cases_waiting on plan_cases (plan, position) where skip is null and text is null;

-- Who may use the API. Of a key only its hash is kept.
create table api_keys (
    name       text primary key,
    hash       text not null unique,    -- SHA-256, hexadecimal
    rights     text[] not null,
    per_minute int not null,
    added_at   timestamptz not null default now()
);

-- How often a caller has asked in this minute, at all web processes together.
create table api_use (
    caller text primary key,
    minute timestamptz not null,
    used   int not null
);

-- What a caller asked under which key: the same key is the same text.
create table idempotency_keys (
    caller text not null,
    key    text not null,
    body   text not null,               -- keyed hash of what was asked
    text   bigint,
    at     timestamptz not null default now(),
    primary key (caller, key)
);
create index idempotency_keys_at on idempotency_keys (at);

-- Keys that are made once for the database: what links and sessions are signed with, and what hashes are keyed with.
create table secrets (
    name    text primary key,
    value   bytea not null,
    made_at timestamptz not null default now()
);

-- The links to the page that were opened: each opens once.
create table used_links (
    id         text primary key,
    expires_at timestamptz not null     -- afterwards it opens nothing anyway
);
create index used_links_expires on used_links (expires_at);

-- The newest mapping that a process has started with: an older one skips nothing for good.
create table mapping_versions (
    crm         text primary key,
    fingerprint text not null,
    since       timestamptz not null default now()
);

-- Which database this is. Another answer than before: it was restored or copied.
create table installation (
    one      boolean primary key default true check (one),
    identity text not null
);
