-- What the configuration files say about %(names)s, the later line winning. Readable by superusers only, unless granted.
select
    lower(name)::text as name,
    setting::text as value,
    sourcefile like '%%postgresql.auto.conf' as by_alter_system,
    applied,
    error::text as error
from pg_file_settings
where lower(name) = any (%(names)s::text[])
order by seqno
