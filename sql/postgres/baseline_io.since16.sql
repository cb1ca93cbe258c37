-- Who read and wrote what, since 16: pg_stat_io counts operations of op_bytes each.
select
    backend_type::text as backend_type, object::text as object, context::text as context,
    coalesce(reads, 0) as reads, coalesce(reads * op_bytes, 0)::bigint as read_bytes,
    coalesce(read_time, 0) as read_ms, coalesce(writes, 0) as writes,
    coalesce(writes * op_bytes, 0)::bigint as write_bytes, coalesce(write_time, 0) as write_ms,
    coalesce(extends, 0) as extends, coalesce(hits, 0) as hits, coalesce(evictions, 0) as evictions, stats_reset
from pg_stat_io
where coalesce(reads, 0) + coalesce(writes, 0) + coalesce(extends, 0) + coalesce(hits, 0) > 0
