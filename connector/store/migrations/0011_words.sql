-- What is left to erase of texts that had no number and no message: words of people, of the platform and of the mapping.
-- Added only.

create index text_words on text (changed_at) where sms is null and ask is null
    and (why <> '' or trace is not null or accepted is not null or wrote is not null or write_refused is not null);
