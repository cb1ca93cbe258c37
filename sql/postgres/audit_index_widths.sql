-- B-trees of 1 MB and more beside what the planner knows about their columns, to estimate how big they should be.
-- `readable` columns are those whose statistics this role may see; pg_stats hides the others. An expression's
-- statistics are filed under the index itself.
-- Names are looked up and printed on the role's own search path.
select
    space.nspname::text as schema,
    index_class.relname::text as name,
    indexed.relname::text as table,
    quote_ident(index_class.relname) as written_name,
    pg_get_indexdef(index_class.oid) as definition,
    index_class.relpages::bigint * current_setting('block_size')::bigint as size_bytes,
    current_setting('block_size')::int as page_bytes,
    greatest(index_class.reltuples, 0)::float8 as entries,
    coalesce((select option_value from pg_options_to_table(index_class.reloptions)
               where option_name = 'fillfactor'), '90')::int as fillfactor,
    index_row.indnatts::int as column_count,
    index_row.indnkeyatts::int as key_count,
    parts.readable::int as readable,
    coalesce(parts.width_bytes, 0)::float8 as width_bytes,
    coalesce(parts.null_share, 0)::float8 as null_share,
    parts.first_column as first_column,
    index_row.indpred is not null as is_partial,
    index_row.indisunique or exists (select from pg_constraint where conindid = index_class.oid) as guards_data,
    index_class.relispartition as is_attached
from pg_index index_row
join pg_class index_class on index_class.oid = index_row.indexrelid
join pg_class indexed on indexed.oid = index_row.indrelid
join pg_namespace space on space.oid = index_class.relnamespace
join pg_am method on method.oid = index_class.relam
cross join lateral (
    select
        count(stats.avg_width) filter (where stats.avg_width is not null) as readable,
        sum(stats.avg_width * (1 - stats.null_frac)) as width_bytes,
        max(stats.null_frac) filter (where place = 0) as null_share,
        max(part.attname::text) filter (where place = 0 and index_row.indkey[0] <> 0) as first_column
    from generate_series(0, index_row.indnatts - 1) as place
    join pg_attribute part
      on part.attrelid = case when index_row.indkey[place] = 0 then index_class.oid else indexed.oid end
     and part.attnum = case when index_row.indkey[place] = 0 then place + 1 else index_row.indkey[place] end
    left join pg_stats stats
      on stats.schemaname = space.nspname and stats.attname = part.attname and not stats.inherited
     and stats.tablename = case when index_row.indkey[place] = 0 then index_class.relname else indexed.relname end
) parts
where method.amname = 'btree' and index_class.relkind = 'i' and index_class.relpages >= 128
  and index_row.indisvalid and indexed.relkind in ('r', 'm')
  and space.nspname not in ('pg_catalog', 'information_schema', 'dbtune')
  and space.nspname not like 'pg\_toast%%' and space.nspname not like 'pg\_temp%%'
order by space.nspname, index_class.relname
