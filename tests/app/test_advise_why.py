"""The plans behind an advised index: what is really different without it."""

from __future__ import annotations

from filled import filled

from dbtune.app.advise import Wish, advise
from dbtune.app.targets import OpenTargets
from dbtune.plans.tree import nodes

SCHEMA = """
create table visits (id int primary key, seen timestamptz not null, amount int not null, note text not null);
insert into visits select n, timestamptz '2024-01-01' + n * 7919 % 60000 * interval '1 minute', n % 97, md5(n::text)
  from generate_series(1, 60000) n;
create index visits_seen on visits (seen);
vacuum analyze visits
"""


def test_without_an_index_there_is_still_the_one_that_it_replaces(postgres_dsn: str) -> None:
    sql = "select sum(amount) from visits where seen between '2024-01-03' and '2024-01-04'"
    with filled(postgres_dsn, SCHEMA.split(";")) as dsn:
        found = advise(OpenTargets(dsn, None), Wish(sql=sql, why="1"))
    (drop,) = found.drops
    assert (drop.name, drop.replaced_by) == ("visits_seen", found.recommendations[0].name)
    (one,) = found.explanations
    assert {node.get("Index Name") for node in nodes(one.before.document)} >= {"visits_seen"}
