-- Transactions that were prepared for a two-phase commit and neither committed nor rolled back, in all databases.
select
    gid::text as name, owner::text as role, database::text as database,
    extract(epoch from clock_timestamp() - prepared)::float8 as age_s
from pg_prepared_xacts
