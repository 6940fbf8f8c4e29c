-- name: secrets
select name, value from secrets where name = any(%(names)s)

-- name: keep
insert into secrets (name, value) values (%(name)s, %(value)s)
