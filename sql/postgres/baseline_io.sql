-- Who read and wrote what: nobody counts it before 16.
select
    null::text as backend_type, null::text as object, null::text as context, null::bigint as reads,
    null::bigint as read_bytes, null::double precision as read_ms, null::bigint as writes,
    null::bigint as write_bytes, null::double precision as write_ms, null::bigint as extends,
    null::bigint as hits, null::bigint as evictions, null::timestamptz as stats_reset
from pg_class
where false
