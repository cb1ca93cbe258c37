-- How old the oldest transaction id and multixact are: of every database of the server, and of the tables of this one
-- that are past the age at which autovacuum must freeze them. Catalogs and TOAST count: they hold the server up too.
with limits as (
    select
        current_setting('autovacuum_freeze_max_age')::bigint as freeze_max_age,
        current_setting('autovacuum_multixact_freeze_max_age')::bigint as multixact_freeze_max_age
)
select
    null::text as schema,
    datname::text as name,
    true as is_database,
    age(datfrozenxid)::bigint as age,
    case when datminmxid <> '0' then mxid_age(datminmxid)::bigint else 0 end as multixact_age,
    freeze_max_age,
    multixact_freeze_max_age
from pg_database cross join limits
union all
select
    space.nspname::text,
    relation.relname::text,
    false,
    age(relation.relfrozenxid)::bigint,
    case when relation.relminmxid <> '0' then mxid_age(relation.relminmxid)::bigint else 0 end,
    least(limits.freeze_max_age, own.freeze_max_age),
    least(limits.multixact_freeze_max_age, own.multixact_freeze_max_age)
from pg_class relation
join pg_namespace space on space.oid = relation.relnamespace
cross join limits
cross join lateral (
    select
        max(option_value::bigint) filter (where option_name = 'autovacuum_freeze_max_age') as freeze_max_age,
        max(option_value::bigint) filter (where option_name = 'autovacuum_multixact_freeze_max_age')
            as multixact_freeze_max_age
    from pg_options_to_table(relation.reloptions)
) own
where relation.relkind in ('r', 'm', 't') and relation.relfrozenxid <> '0'
  -- Only a table with limits of its own has to be asked for them.
  and (relation.reloptions is not null or age(relation.relfrozenxid) > limits.freeze_max_age
       or mxid_age(relation.relminmxid) > limits.multixact_freeze_max_age)
  and (age(relation.relfrozenxid) > least(limits.freeze_max_age, own.freeze_max_age)
       or mxid_age(relation.relminmxid)
          > least(limits.multixact_freeze_max_age, own.multixact_freeze_max_age))
order by is_database desc, name
