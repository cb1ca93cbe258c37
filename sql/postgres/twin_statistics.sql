-- What ANALYZE found in the columns of %(names)s, which lie in %(schemas)s; indexes with expressions included.
-- Shares go through text, so that 0.1 stays 0.1. The view shows ranges from 17 on.
select
    '"' || replace(pg_stats.schemaname, '"', '""') || '"."' || replace(pg_stats.tablename, '"', '""') || '"' as relation,
    pg_stats.attname::text as "column",
    pg_stats.inherited as inherited,
    pg_stats.null_frac::text::float8 as null_frac,
    pg_stats.avg_width::int as avg_width,
    pg_stats.n_distinct::text::float8 as n_distinct,
    pg_stats.correlation::text::float8 as correlation,
    pg_stats.most_common_vals::text as most_common_vals,
    pg_stats.most_common_freqs::text::float8[] as most_common_freqs,
    pg_stats.histogram_bounds::text as histogram_bounds,
    pg_stats.most_common_elems::text as most_common_elems,
    pg_stats.most_common_elem_freqs::text::float8[] as most_common_elem_freqs,
    pg_stats.elem_count_histogram::text::float8[] as elem_count_histogram,
    null::text as range_length_histogram,
    null::float8 as range_empty_frac,
    null::text as range_bounds_histogram
from pg_stats
where (pg_stats.schemaname, pg_stats.tablename) in
      (select split.schema, split.name from unnest(%(schemas)s::text[], %(names)s::text[]) as split(schema, name))
order by 1, 2, 3
