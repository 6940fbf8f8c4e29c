-- Incoming events. Kept until their retention period ends, so that a corrected mapping can be applied to them.
create table events (
    id          bigint generated always as identity primary key,
    crm         text not null,
    event_id    text not null,
    channel     text not null check (channel in ('agent', 'trigger', 'batch')),
    ticket_id   text,                   -- null: no text for this event; `problem` says why
    changed_by  text,                   -- the CRM user who made the change
    body        jsonb,
    raw         bytea,                  -- only of an event that could not be read
    problem     text,
    received_at timestamptz not null default now(),
    unique (crm, event_id)              -- a redelivery is harmless
);
create index events_kept on events (received_at) where body is not null or raw is not null;

-- A text for each event, and its progress. No foreign key to events: the same statement writes both rows, events are
-- never deleted, and the check costs as much as the write.
create table texts (
    id             bigint generated always as identity primary key,
    event          bigint not null unique,
    crm            text not null,
    ticket_id      text not null,
    channel        text not null,
    received_at    timestamptz not null default now(),
    due_at         timestamptz not null default now(),      -- when it was to leave at first: at once, or when it was scheduled for
    state          text not null default 'received'
                   check (state in ('received', 'queued', 'sending', 'sent',
                                    'skipped', 'failed', 'unknown', 'cancelled')),
    -- Counts the transitions. Each names the revision that it starts from; a claim's number is the revision it made.
    revision       int not null default 0,
    why            text not null default '',
    code           text,                -- the platform's refusal that led to this state; see errors.RefusalCode
    changed_at     timestamptz not null default now(),

    -- The request and the decision.
    request            jsonb,               -- an agent's or a batch's request, beyond the ticket's own data
    traceparent    text,                -- the trace of its event, where traces are on (W3C)
    rule           text,
    sms            jsonb,               -- numbers and message
    number         text,                -- whom it is or was meant for, as far as known: a keyed hash; finds a person's texts
    reason         text,                -- the reason that it claims, or claimed, under its rule
    same_as        bigint references texts,     -- skipped: the text with the same reason, whose outcome is written back
    trace          jsonb,               -- each check of the policy, and its result
    accepted       jsonb,               -- the rule that accepted a trigger: {"rule", "values"}; see model.Accepted

    -- Sending.
    not_before     timestamptz,
    number_read_at timestamptz,         -- scheduled: when its ticket was last read and named no number to text
    attempts       int not null default 0,          -- calls that certainly did nothing
    busy_since     timestamptz,         -- since when the customer has been in another session
    suspected      int not null default 0,          -- refusals of this text alone, while other texts were accepted
    refused_at     timestamptz,         -- its last failure of a kind that would affect every text
    restored_at    timestamptz,         -- it waited when the database was restored: it may have been sent since the backup
    tried_again    boolean not null default false,  -- an unknown text has had its second attempt, if that is enabled
    claim_until    timestamptz,         -- sending: when the claim expires, by the database's clock
    claim_token    bigint,              -- the attempt that claimed it; one that lost the connection undoes its claim
    unclear        int[] not null default '{}',     -- claims whose call had no clear answer, oldest first
    chat           jsonb,               -- {"id": int, "status": text}
    contradicted   text,                -- an answer that contradicts how the text was settled
    budget_share   jsonb,               -- what it takes of a daily budget: {"number", "day", "segments"}
    budget_returned boolean not null default false, -- it certainly was not sent, and has given that back
    -- Why the customer's number cannot be texted. `unusable`: no phone on the ticket is fit for a text. `refused`: the
    -- platform calls the number invalid.
    phone_problem  text check (phone_problem in ('unusable', 'refused')),

    -- Writing back.
    outcome        int not null default 0,          -- version: counts the outcomes to write back
    known          bigint,              -- the place of its outcome among all outcomes
    written        int not null default 0,          -- the last outcome that the ticket has, or can never have
    notified       int not null default 0,          -- the last outcome that the CRM accepted
    wrote          jsonb,               -- the last write to the ticket, of the fields that rules read
    write_begun    int not null default 0,          -- writes to the ticket that began and have no clear result
    write_attempts int not null default 0,
    write_refused  text,                -- why the CRM refuses the outcome; shown to operators

    -- What the ticket shows while the text waits.
    held           jsonb,               -- {"why", "until"}; see model.Hold
    held_version   int not null default 0,          -- counts the holds to write to the ticket
    held_written   int not null default 0,          -- the last hold that the ticket has, or can never have
    held_begun     timestamptz,         -- a hold is being written since then
    held_wrote     jsonb                -- that write, of the fields that rules read
)
-- A row is updated five times within seconds: free space keeps its versions on one page. No update is HOT, because
-- partial indexes name `state` and what is written back.
with (fillfactor = 60);
create index texts_ticket on texts (crm, ticket_id, id);
-- Texts that waited when the database was restored and have no decision yet. Newer ones of their tickets wait for them.
create index texts_restored on texts (crm, ticket_id) where state = 'received' and restored_at is not null;
create index texts_unknown on texts (changed_at) where state = 'unknown';
create index texts_claimed on texts (claim_until) where state = 'sending';
create index texts_same_as on texts (same_as) where same_as is not null;
create index texts_chat on texts ((chat ->> 'id')) where chat is not null;
-- All texts that need a job: searched for those that have none.
create index texts_open on texts (id) where state in ('received', 'queued') or outcome > written or write_begun > 0;
-- Texts with data to erase when their retention period ends.
create index texts_kept on texts (changed_at) where sms is not null;
create index texts_asked on texts (changed_at) where request is not null;
create index texts_words on texts (changed_at) where sms is null and request is null
    and (why <> '' or trace is not null or accepted is not null or wrote is not null or write_refused is not null);
-- Searches by people: see store/text_search.py.
create index texts_received on texts (received_at);
create index texts_number on texts (number, received_at) where number is not null;
create index texts_code on texts (code, received_at) where code is not null;
create index texts_not_sent on texts (state, received_at) where state in ('skipped', 'failed', 'unknown', 'cancelled');
-- All texts that ever claimed a reason: see store/reason_view.py. A hash is smaller than the reason.
create index texts_reason on texts using hash (reason) where reason is not null;
create index texts_contradicted on texts (received_at) where contradicted is not null;
create index texts_agent_name on texts (lower(request ->> 'agent_name')) where channel = 'agent';
create index texts_agent_email on texts (lower(request ->> 'agent_email')) where channel = 'agent';

-- Orders outcomes by when they became known.
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
-- The ends of unknown texts, for the time to resolve them.
create index history_settled on history (at) where from_state = 'unknown' and to_state <> 'unknown';

-- One text per reason, across all channels. Outlives the text's own retention period.
create table reasons (
    crm    text not null,
    rule   text not null,
    reason text not null,               -- keyed hash of the rule's once_per fields; see store/pseudonyms.py
    text   bigint not null,
    primary key (crm, rule, reason)
);
create index reasons_text on reasons (text);

-- When each number was texted last: one text per window, across all channels and tickets.
create table recipients (
    number      text primary key,       -- keyed hash
    text        bigint not null,
    at          timestamptz not null,
    before_text bigint,                 -- the text before and its time, restored if this one certainly was not sent
    before_at   timestamptz             -- without a text before: the start of this text's window
);
create index recipients_text on recipients (text);
create index recipients_before on recipients (before_text) where before_text is not null;

-- The connector's own opt-outs. They cannot be overridden, and outlive all other data, at the person's own wish. A number
-- has an entry for each source, because each is lifted by its own source only.
create table suppressions (
    number     text not null,           -- E.164
    source     text not null check (source in ('person', 'word', 'platform', 'crm')),
    origin     text not null default '',                -- crm: the CRM's name and the ticket that says so
    why        text not null default '',
    added_by   text not null default '',
    added_at   timestamptz not null default now(),      -- when it took effect
    words      text not null default '',                -- word: the word in capitals
    chat       text,                    -- the chat in which the customer asked
    said_at    timestamptz,             -- when the customer asked
    to_enter   boolean not null default false,          -- an operator has to enter the number on the platform's own list
    entered_at timestamptz,             -- when an operator recorded having done so
    checked_at timestamptz not null default now(),      -- crm: when the ticket was last read for it
    primary key (number, source, origin)
);
create index suppressions_checked on suppressions (checked_at) where source = 'crm';

-- Rate limit and circuit breaker of each remote account, for all workers on all machines together.
create table sending_state (
    account       text primary key,
    next_at       timestamptz not null,                 -- when the next request may leave
    batch_next_at timestamptz,                          -- when the next request of a batch may leave
    people_until  timestamptz,                          -- texts with priority over batches wait at least until then
    paused_until    timestamptz,                          -- paused: the account asked for it, or cannot be reached
    paused_why      text,
    pauses        int not null default 0,               -- pauses in a row since the last success
    tripped_at    timestamptz,                          -- tripped: a setting is wrong; no sending until it is fixed
    tripped_why   text,
    confirmed     boolean not null default true,        -- tripped, and the fault does not lie with one text alone
    manual_resume    boolean not null default false,       -- tripped until an operator resumes it; no probe does
    probes        int not null default 0,               -- failed probes in a row
    probed_at     timestamptz,
    probe_at      timestamptz,                          -- when the next probe is due
    passed_at     timestamptz,                          -- the last answer that no setting is to blame for
    refused_text  bigint                                -- the text whose refusal last tripped the breaker
);

-- The used share of each CRM's daily API calls, 0 to 1, as last read by a worker.
create table crm_usage (
    crm   text primary key,
    share double precision not null,
    at    timestamptz not null default now()
);

-- Periodic tasks, each run by one worker at a time.
create table leases (
    name    text primary key,
    next_at timestamptz not null,
    cursor  timestamptz                 -- the task's progress, where it keeps any
);

-- A back-fill: its cases and its progress.
create table plans (
    id            text primary key,
    crm           text not null,
    query         jsonb not null,       -- {"where": …}, {"whole": …}; empty: a list of ids was given
    request           jsonb not null,       -- rule and template, for each of its texts
    state         text not null check (state in ('planning', 'planned', 'canary', 'cooling', 'running', 'paused',
                                                 'stopped', 'cancelled', 'done')),
    why           text not null default '',
    canary        int not null default 0,               -- texts that are sent first
    max_failed   double precision not null default 0,  -- share of the canary texts that may fail
    cooling       double precision not null default 0,  -- seconds between the canary and the other texts
    cooling_until timestamptz,
    watched_until timestamptz,          -- it pauses then unless the watching command renews this; null: unattended
    report        jsonb,                -- the plan's findings, for display
    made_at       timestamptz not null default now(),
    changed_at    timestamptz not null default now()
);

-- Its cases, in the order in which they are texted.
create table plan_cases (
    plan      text not null references plans on delete cascade,
    position  bigint not null,
    ticket_id text not null,
    skip      text,                     -- why it is not texted; null: it is texted
    number    text,                     -- keyed hash: detects other cases of the same customer, and a changed number
    segments  int not null default 0,
    tries     int not null default 0,   -- texts made for this case so far
    text      bigint,                   -- null: none yet
    primary key (plan, position),
    unique (plan, ticket_id)
);
create index plan_cases_text on plan_cases (text) where text is not null;
create index plan_cases_waiting on plan_cases (plan, position) where skip is null and text is null;

-- API keys. Only the hash of a key is stored.
create table api_keys (
    name       text primary key,
    hash       text not null unique,    -- SHA-256, hexadecimal
    rights     text[] not null,
    per_minute int not null,
    added_at   timestamptz not null default now()
);

-- Requests of each caller in the current minute, across all web processes.
create table api_use (
    caller text primary key,
    minute timestamptz not null,
    used   int not null
);

-- Idempotency keys: requests of a caller with the same key become the same text.
create table idempotency_keys (
    caller text not null,
    key    text not null,
    body   text not null,               -- keyed hash of the request
    text   bigint,
    at     timestamptz not null default now(),
    primary key (caller, key)
);
create index idempotency_keys_at on idempotency_keys (at);
create index idempotency_keys_text on idempotency_keys (text);

-- Secrets created once for the database: the signing key of links and sessions, and the key of the hashes.
create table secrets (
    name    text primary key,
    value   bytea not null,
    made_at timestamptz not null default now()
);

-- Sessions of the console. Only the hash of a session's token is stored.
create table console_sessions (
    id       bigint generated always as identity primary key,
    hash     text not null unique,      -- SHA-256, hexadecimal
    who      text not null,             -- the name of an API key, or of the person at the identity provider
    method   text not null check (method in ('key', 'openid')),
    roles    text[] not null,           -- of method openid; a key's session has the key's
    origin   text not null,             -- the browser's address
    began_at timestamptz not null default now(),
    seen_at  timestamptz not null default now(),
    ends_at  timestamptz not null,
    notice   jsonb                      -- what the next page shows once: {"words", "problem"}
);

-- Links to the hosted page that were used. Each can be used once.
create table used_links (
    id         text primary key,
    expires_at timestamptz not null     -- after this time the link is invalid anyway
);
create index used_links_expires on used_links (expires_at);

-- The newest mapping that a process has started with. Workers with an older one leave texts that match no rule of it.
create table mapping_versions (
    crm         text primary key,
    fingerprint text not null,
    since       timestamptz not null default now()
);

-- The identity of this database. A different identity means that it was restored, copied or failed over.
create table installation (
    one      boolean primary key default true check (one),
    identity text not null
);

-- The newest word of each number that opted out or in. Words may arrive out of order: an older one changes nothing.
create table opt_out_words (
    number    text primary key,         -- keyed hash
    opted_out boolean not null,
    said_at   timestamptz not null
);

-- Numbers that a person looked up and that no text has: the address of a person's page holds only the hash.
create table person_lookups (
    hash   text primary key,            -- keyed hash of the number
    number text not null,               -- E.164
    at     timestamptz not null default now()
);
create index person_lookups_at on person_lookups (at);

-- Messages that may be an opt-out. The number is not texted until a person has decided.
create table opt_out_reviews (
    id         bigint generated always as identity primary key,
    key        text not null unique,    -- keyed hash of chat, time and words: a repeated event is no second review
    number     text,                    -- E.164; null once erased
    crm        text not null,
    ticket_id  text not null,
    chat       text not null,
    words      text not null,           -- the customer's message
    said_at    timestamptz not null,
    due_at     timestamptz not null,    -- two business days later: overdue
    limit_at   timestamptz not null,    -- ten business days later: the law's limit
    decided_at timestamptz,
    decided_by text not null default '',
    decision   text check (decision in ('opt_out', 'not')),
    why        text not null default ''
);
create index opt_out_reviews_open on opt_out_reviews (number) where decided_at is null;
create index opt_out_reviews_number on opt_out_reviews (number) where number is not null;
create index opt_out_reviews_decided on opt_out_reviews (decided_at) where decided_at is not null;

-- Checkboxes in the CRM to be written beside the outcomes: that the customer opted out, and that the number cannot be
-- texted. A row stays, so that only what the connector has set is cleared later.
create table record_fields (
    crm         text not null,
    ticket_id   text not null,
    kind        text not null check (kind in ('opt_out', 'phone_invalid')),
    number      text,                   -- keyed hash; null: none, or erased
    record      text,                   -- the CRM's record that has the field; null: not read yet
    value       boolean not null,       -- the value to write
    before      boolean,                -- the field's value before the first write; null: not read yet
    version     int not null default 1,                 -- counts the values to write
    written     int not null default 0,                 -- the last version that the CRM has, or can never have
    attempts    int not null default 0,                 -- failed attempts in a row
    due_at      timestamptz not null default now(),
    claim_token bigint,                 -- the attempt that is writing
    claim_until timestamptz,
    refused     text,                   -- why the CRM refuses it
    primary key (crm, ticket_id, kind)
);
create index record_fields_due on record_fields (kind, due_at) where version > written;
create index record_fields_number on record_fields (number) where number is not null;
create index record_fields_record on record_fields (record) where record is not null;

-- Chat events that CCAI Platform posted, as received. A worker processes each at least once.
create table chat_events (
    id           bigint generated always as identity primary key,
    key          text not null unique,  -- keyed hash of the signed bytes: a redelivery is harmless
    chat_id      text,
    event_type   text,
    occurred_at  timestamptz not null,
    received_at  timestamptz not null default now(),
    body         jsonb,
    raw          bytea,                 -- only of an event that could not be read
    problem      text,                  -- why it had no effect so far
    problem_kind text check (problem_kind in ('unreadable', 'unknown_sender', 'failed')),
    failures     int not null default 0,
    next_at      timestamptz not null default now(),    -- when it is processed next
    processed_at timestamptz            -- null: it is still to be processed
);
create index chat_events_due on chat_events (next_at, id) where processed_at is null;
create index chat_events_chat on chat_events (chat_id);
create index chat_events_problems on chat_events (problem_kind) where problem_kind is not null;
create index chat_events_kept on chat_events (received_at);

-- The chats of sent texts, and their newest status. See connector/chat_status.py for which report counts.
create table chats (
    chat_id   text primary key,         -- CCAI Platform's
    status    text not null,
    at        timestamptz not null,     -- when it had this status, by the platform's clock; a response's: by ours
    source    text not null check (source in ('response', 'webhook', 'list')),
    ended     boolean not null default false,
    seen_at   timestamptz not null default now(),       -- the last report that counted
    webhook_at timestamptz,             -- the last one of them that was a webhook's
    list_from timestamptz               -- the list still has to be read from this time; null: it is being followed
);
create index chats_open on chats (seen_at) where not ended;
create index chats_seen on chats (seen_at);
create index chats_listed on chats (seen_at) where source = 'list';

-- The status fields of tickets that show a chat: one row for each text that told its ticket of a chat.
create table chat_updates (
    text     bigint primary key,
    chat     text not null,
    changes  int not null default 0,    -- counts the statuses to write
    written  jsonb,                     -- the fields as last written; null: not certain
    due_at   timestamptz,               -- when to write, or when a claim expires; null: the ticket has the status
    claim    int not null default 0,    -- counts the claims; each write names its own
    begun    int not null default 0,    -- writes that began and have no clear result
    attempts int not null default 0,    -- failed writes in a row
    refused  text                       -- why the CRM refuses the status; shown to operators
);
create index chat_updates_chat on chat_updates (chat);
create index chat_updates_due on chat_updates (due_at) where due_at is not null;

-- What people did, and changes of settings and mappings at start. Append-only: a trigger refuses every change, and an
-- application role has no right to any (docs/operations.md). No number, message or value of a setting stands here.
create table audit (
    id     bigint generated always as identity primary key,
    at     timestamptz not null default clock_timestamp(),
    who    text not null,               -- a system user, an API key, an agent
    source text not null check (source in ('cli', 'api', 'page', 'console', 'process')),
    origin text not null,               -- the host of the command, or the address of the request
    what   text not null,
    about  text not null,               -- such as "text 17"; a number only as a keyed hash of its own kind
    before jsonb,
    after  jsonb
);
create index audit_at on audit (at);
create index audit_who on audit (who, id);
create index audit_what on audit (what, id);
create index audit_about on audit (about, id);

create function audit_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function audit_refuse_change();

-- The reason that a person gave for an action. Apart from the audit trail, because it may name a customer: it is erased
-- with the customer.
create table audit_notes (
    audit bigint primary key references audit on delete cascade,
    why   text not null
);

-- The settings and mapping files that each kind of process last started with, as keyed hashes.
create table setting_versions (
    process     text not null,
    name        text not null,
    fingerprint text not null,
    primary key (process, name)
);

-- Counts of texts by outcome, or by another step; see store/roll_ups.py.
create table roll_ups (
    period  timestamptz not null,       -- the start of 5 minutes, or of an hour (UTC) once that is two days old
    step    text not null,              -- the state of an outcome; `written`: its ticket was told for the first time
    channel text not null,
    rule    text not null,
    code    text not null,
    bucket  float8 not null,            -- at most so many seconds from when the text was due to this step
    texts   bigint not null,
    primary key (period, step, channel, rule, code, bucket)
);
create index roll_ups_fine on roll_ups (period) where date_bin('1 hour', period, timestamptz 'epoch') <> period;

-- What the counts do not include yet. Rows are only added, so that transitions do not wait for each other.
create table roll_up_changes (
    period  timestamptz not null,
    step    text not null,
    channel text not null,
    rule    text not null,
    code    text not null,
    bucket  float8 not null,
    texts   bigint not null
);

-- Pauses by an operator: no text that one covers is sent, until an operator resumes it or its time is over.
create table operator_pauses (
    scope       text not null check (scope in ('all', 'account', 'channel', 'rule')),
    name        text not null default '',               -- the account, channel or rule; empty for all
    why         text not null,
    paused_by   text not null,
    since       timestamptz not null default now(),
    ends_at     timestamptz,                            -- null: until it is resumed
    primary key (scope, name)
);

-- What each outbound number with a daily budget has sent, or may have sent, on each day.
create table daily_budgets (
    number   text not null,             -- the connector's own, E.164
    day      date not null,             -- in the budget's time zone
    texts    int not null default 0,
    segments int not null default 0,
    primary key (number, day)
);

-- Changes to those counts that the next claim counts in: shares that were given back, or taken again.
create table daily_budget_corrections (
    number   text not null,
    day      date not null,
    texts    int not null,
    segments int not null
);
create index daily_budget_corrections_day on daily_budget_corrections (number, day);

-- One action of a person on many texts. A worker does it, item by item.
create table bulk_actions (
    id         bigint generated always as identity primary key,
    action     text not null check (action in ('cancel', 'write_back', 'send_again', 'suppress')),
    query      text not null,           -- the words of the search, as typed; empty: texts were selected without one
    search     jsonb,                   -- the same as parameters; each text must still fit when its turn comes
    why        text not null,
    who        text not null,
    source     text not null,
    origin     text not null,
    requested  int not null,            -- items
    done       int not null default 0,
    refused    int not null default 0,
    state      text not null default 'running' check (state in ('running', 'stopped', 'done')),
    stopped_by text not null default '',
    started_at timestamptz not null default now(),
    ended_at   timestamptz
);
create index bulk_actions_running on bulk_actions (id) where state = 'running';
create index bulk_actions_ended on bulk_actions (ended_at) where ended_at is not null;

-- Its texts, fixed when it starts.
create table bulk_items (
    bulk     bigint not null references bulk_actions on delete cascade,
    text     bigint not null,
    ended_at timestamptz,               -- null: its turn has not come
    refused  text,                      -- why nothing was done; null: it was done
    primary key (bulk, text)
);
create index bulk_items_waiting on bulk_items (bulk, text) where ended_at is null;
create index bulk_items_refused on bulk_items (bulk, refused) where refused is not null;
create index bulk_items_text on bulk_items (text);
