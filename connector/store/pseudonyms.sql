-- name: secrets
select name, value from secret where name = any(%(names)s)

-- name: keep
insert into secret (name, value) values (%(name)s, %(value)s)

-- part: keyed
sha256(%(outer)s::bytea || sha256(%(inner)s::bytea || convert_to(

-- name: convert_recipients
-- What was a plain hash becomes the HMAC of it.
update recipient set number = left(encode({keyed} number, 'utf8'))), 'hex'), 32)

-- name: convert_plan_cases
update plan_case set number = left(encode({keyed} number, 'utf8'))), 'hex'), 32) where number is not null

-- name: convert_asks
update text set ask = jsonb_set(ask, array['number'], to_jsonb(left(encode({keyed} ask ->> 'number', 'utf8'))), 'hex'), 32)))
where ask ->> 'number' is not null

-- name: convert_reasons
update reason set reason = encode({keyed} reason, 'utf8'))), 'hex')

-- name: convert_text_reasons
update text set reason = encode({keyed} reason, 'utf8'))), 'hex') where reason is not null

-- name: convert_requests
update idempotency set body = encode({keyed} body, 'utf8'))), 'hex')
