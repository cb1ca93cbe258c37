-- Gives rows of pg_stats (%(statistics)s, as JSON) to the function that 18 has for it, under the tables' owner:
-- reading a value performs the checks of its domain, which came with the dump.
-- Returns the numbers of those of which it did not take all; why, a warning says.
select number::int as number, null::text as reason
from (
    select stats.number, pg_restore_attribute_stats(
        'schemaname', stats.schema, 'relname', stats.relation, 'attname', stats."column", 'inherited', stats.inherited,
        'null_frac', stats.null_frac, 'avg_width', stats.avg_width, 'n_distinct', stats.n_distinct,
        'correlation', stats.correlation,
        'most_common_vals', stats.most_common_vals, 'most_common_freqs', stats.most_common_freqs,
        'histogram_bounds', stats.histogram_bounds,
        'most_common_elems', stats.most_common_elems, 'most_common_elem_freqs', stats.most_common_elem_freqs,
        'elem_count_histogram', stats.elem_count_histogram,
        'range_length_histogram', stats.range_length_histogram, 'range_empty_frac', stats.range_empty_frac,
        'range_bounds_histogram', stats.range_bounds_histogram) as is_whole
    from jsonb_to_recordset(%(statistics)s::jsonb) as stats(
        number int, schema text, relation text, "column" text, inherited boolean,
        null_frac real, avg_width int, n_distinct real, correlation real,
        most_common_vals text, most_common_freqs real[], histogram_bounds text,
        most_common_elems text, most_common_elem_freqs real[], elem_count_histogram real[],
        range_length_histogram text, range_empty_frac real, range_bounds_histogram text)
    join pg_namespace on nspname = stats.schema
    join pg_class on relnamespace = pg_namespace.oid and relname = stats.relation
    join pg_attribute on attrelid = pg_class.oid and attname = stats."column" and attnum > 0
    offset 0) as restored
where not is_whole
