-- Added only, so that workers of the version before go on beside those of this one.

-- What the web sides sign links and sessions with: made once, and the same for all of them.
create table secret (
    name    text primary key,
    value   bytea not null,
    made_at timestamptz not null default now()
);

-- The links to the page that were opened: each opens once.
create table used_link (
    id         text primary key,
    expires_at timestamptz not null     -- afterwards it opens nothing anyway
);
create index used_link_expires on used_link (expires_at);
