-- Who may take a text's next step, what its tickets have really been told, and a breaker for each remote account.
-- Added only; but workers of the version before take steps that they do not own: stop them before this runs.

alter table pace
    add column held_why      text,
    add column holds         int not null default 0,       -- in a row, since anything passed
    add column passed_at     timestamptz,                  -- when a call last had an answer that is no setting's fault
    add column refused_text  bigint,                       -- the text whose refusal stopped it last
    add column probe_at      timestamptz,                  -- when it is probed next
    add column confirmed     boolean not null default true,    -- stopped, and a probe has found it wrong too
    add column for_people    boolean not null default false,   -- stopped until a person says so: no probe opens it
    add column batch_next_at timestamptz,                  -- when the next request of a batch may leave
    add column people_until  timestamptz;                  -- texts that come before batches wait at least until then

alter table text
    -- Counts its steps. Whoever takes one names the revision that it starts from; a claim's number is the revision that
    -- it made.
    add column revision     int not null default 0,
    add column claim_until  timestamptz,                   -- sending: its worker is given up then, by the database's clock
    add column claim_token  bigint,                        -- which try claimed it: one that cannot know undoes it
    add column unclear      int[] not null default '{}',   -- claims whose call had no clear answer, oldest first
    add column reason       text,                          -- what it claims, or claimed, under its rule
    add column suspected    int not null default 0,        -- how often it alone was refused while others passed
    add column refused_at   timestamptz,                   -- when it last met what all would meet
    add column contradicted text,                          -- an answer that came after it had been settled otherwise
    add column told         int not null default 0,        -- the last outcome that the CRM really took
    add column write_begun  int not null default 0;        -- writes to the ticket that were begun and have no clear end

create index text_claimed on text (claim_until) where state = 'sending';
create index text_same_as on text (same_as) where same_as is not null;
-- Everything that still needs a job: looked through for texts that have none.
create index text_open on text (id) where state in ('received', 'queued') or outcome > written or write_begun > 0;
-- Numbers that were claimed by one text after another.
create index recipient_before on recipient (before_text) where before_text is not null;

-- The newest mapping that a process has started with: an older one skips nothing for good.
create table mapping_version (
    crm         text primary key,
    fingerprint text not null,
    since       timestamptz not null default now()
);

-- Which database this is. Another answer than before: it was restored or copied.
create table installation (
    one      boolean primary key default true check (one),
    identity text not null
);
