-- Added only, so that workers of the version before go on beside those of this one.

-- The lane to CCAI Platform, for all workers on all machines together.
alter table pace
    -- When the last requests left or will leave, in seconds since the epoch, oldest first; those of batches once more.
    add column recent       double precision[] not null default '{}',
    add column recent_batch double precision[] not null default '{}',
    add column held_until   timestamptz,        -- the platform asked for a pause, or cannot be reached
    add column stopped_at   timestamptz,        -- a setting is wrong: nobody sends until it is put right
    add column stopped_why  text,
    add column probes       int not null default 0,   -- how often it was found wrong in a row
    add column probed_at    timestamptz;

-- What one worker at a time does every now and then, whichever worker it is.
create table duty (
    name    text primary key,
    next_at timestamptz not null,
    cursor  timestamptz                 -- how far it has come, where that matters
);

-- What is left to erase once its retention has ended. Before `text` is touched: in this order statements lock them.
create index event_kept on event (received_at) where body is not null or raw is not null;

alter table text
    add column tried_again boolean not null default false;  -- an unknown text gets one more try, where settings say so

-- A text's row is updated four times within seconds: room on its page keeps the indexes out of it.
alter table text set (fillfactor = 60);

create index text_unknown on text (changed_at) where state = 'unknown';
create index text_kept on text (changed_at) where sms is not null;
create index text_chat on text ((chat ->> 'id')) where chat is not null;

-- Its rows are written by the very statements that move the texts; a check for each of them would cost more than it.
alter table history drop constraint history_text_fkey;
