-- Primary keys of one smallint or integer column that no sequence feeds, with their largest value as ANALYZE saw it.
-- pg_stats hides columns that this role may not read: `readable` tells that from a table without statistics.
select
    space.nspname::text as schema,
    relation.relname::text as table,
    part.attname::text as column,
    part.atttypid::regtype::text as type,
    greatest(relation.reltuples, 0)::bigint as rows,
    has_column_privilege(relation.oid, part.attnum, 'SELECT') as readable,
    (select max(bound::bigint) from unnest(stats.histogram_bounds::text::text[]) as bound) as largest
from pg_index key
join pg_class relation on relation.oid = key.indrelid
join pg_namespace space on space.oid = relation.relnamespace
join pg_attribute part on part.attrelid = relation.oid and part.attnum = key.indkey[0]
left join pg_stats stats
  on stats.schemaname = space.nspname and stats.tablename = relation.relname and stats.attname = part.attname
 and not stats.inherited
where key.indisprimary and key.indnkeyatts = 1 and relation.relkind = 'r'
  and part.atttypid in ('int2'::regtype, 'int4'::regtype)
  and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune') and space.nspname not like 'pg\_temp%%'
  and not exists (
      select from pg_depend
      where refclassid = 'pg_class'::regclass and refobjid = relation.oid and refobjsubid = part.attnum
        and classid = 'pg_class'::regclass and deptype in ('a', 'i')
        and objid in (select seqrelid from pg_sequence)
  )
  and not exists (
      select from pg_attrdef def
      join pg_depend on pg_depend.classid = 'pg_attrdef'::regclass and pg_depend.objid = def.oid
      join pg_sequence on pg_sequence.seqrelid = pg_depend.refobjid
      where def.adrelid = relation.oid and def.adnum = part.attnum
  )
order by space.nspname, relation.relname
