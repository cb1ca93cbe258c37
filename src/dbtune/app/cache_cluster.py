"""A cluster's primaries, each looked at by itself, as one cache; and what is to be said of a single one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from dbtune.checks.cache_survey import CacheSurvey, Info, Sample, Unseen, Window
from dbtune.core.cache_report import Traffic
from dbtune.core.errors import TargetError
from dbtune.core.findings import Finding, Fix, Unexamined
from dbtune.core.namespaces import namespaces
from dbtune.servers.redis.sampling import MOST_BIG
from dbtune.servers.redis.watching import Watch

ADDED = frozenset(
    """used_memory used_memory_rss used_memory_peak maxmemory mem_fragmentation_bytes total_system_memory maxclients
    connected_clients blocked_clients rejected_connections rdb_changes_since_last_save""".split()  # noqa: SIM905
)
"""What a cluster has the sum of. Of other figures it has the largest."""
LIMITS = ("maxmemory", "maxclients")

Part = TypeVar("Part")
Asked = TypeVar("Asked")
Verdicts = Sequence[Finding | Unexamined]


def those_that_answer(
    nodes: Sequence[Asked], ask: Callable[[Asked], Part]
) -> tuple[list[Part], tuple[Unexamined, ...]]:
    """What each of them gave, and which did not answer. Raises TargetError when none of them did."""
    found: list[Part] = []
    errors: list[TargetError] = []
    for node in nodes:
        try:
            found.append(ask(node))
        except TargetError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found, tuple(Unexamined("node", error.message, error.hint) for error in errors)


def joined(target: str, surveys: Sequence[CacheSurvey]) -> CacheSurvey:
    """What is true of all of them together; a part is unseen where no node let us see it."""
    if len(surveys) == 1:
        return surveys[0]
    return CacheSurvey(
        target=target,
        info=_together([survey.info for survey in surveys], joined_info),
        window=_together([survey.window for survey in surveys], _window),
        sample=_together([survey.sample for survey in surveys], _sample),
        slow=_together([survey.slow for survey in surveys], _all),
        latency=_together([survey.latency for survey in surveys], _all),
        clients=_together([survey.clients for survey in surveys], _all),
        tags=_together([survey.tags for survey in surveys], _all),
    )


def judged(whole: CacheSurvey, nodes: Sequence[CacheSurvey], judge: Callable[[CacheSurvey], Verdicts]) -> Verdicts:
    """Of keys and prefixes what the whole shows. Of servers, what is so on all once, else those on which it is so.

    What could not be seen on some of the nodes is said, too.
    """
    found = [*judge(whole)]
    if len(nodes) == 1:
        return found
    alone = {node.target: judge(node) for node in nodes}
    of_whole = {one.code for one in found if isinstance(one, Finding) and one.object == whole.target}
    of_nodes = [one for target, rows in alone.items() for one in _about(rows, target)]
    counts = Counter(one.code for one in of_nodes)
    in_part = {
        code
        for code, count in counts.items()
        if code not in of_whole or count < len(nodes) or len({str(fix) for fix in _fixes(of_nodes, code)}) > 1
    }
    # What is set is set on each node: sums of all of them are no sizes for one.
    kept = [
        replace(one, fix=next(_fixes(of_nodes, one.code), one.fix)) if isinstance(one, Finding) else one
        for one in found
        if isinstance(one, Unexamined) or one.object != whole.target or one.code not in in_part
    ]
    return [*kept, *(one for one in of_nodes if one.code in in_part), *_partly_unseen(found, alone)]


def watched_together(watches: Sequence[Watch]) -> Watch:
    """Counts of all nodes; unseen where none of them announces misses."""
    whole = Watch(monitored_s=max(watch.monitored_s for watch in watches))
    for watch in watches:
        whole.misses += watch.misses
        whole.reads += watch.reads
    if all(watch.unseen for watch in watches):
        whole.unseen = watches[0].unseen
    return whole


def _fixes(findings: Sequence[Finding], code: str) -> Iterator[Fix | None]:
    return (one.fix for one in findings if one.code == code)


def _about(rows: Verdicts, target: str) -> Iterator[Finding]:
    return (one for one in rows if isinstance(one, Finding) and one.object == target)


def _partly_unseen(found: Verdicts, alone: Mapping[str, Verdicts]) -> Iterator[Unexamined]:
    said = {one.check for one in found if isinstance(one, Unexamined)}
    for target, rows in alone.items():
        for one in rows:
            if isinstance(one, Unexamined) and one.check not in said:
                yield replace(one, reason=f"{target}: {one.reason}")


def _together(parts: Sequence[Any], join: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - each part of a survey
    seen = [part for part in parts if not isinstance(part, Unseen)]
    if seen:
        return join(seen)
    return next(part for part in parts if isinstance(part, Unseen))


def _all(parts: Sequence[tuple[Part, ...]]) -> tuple[Part, ...]:
    return tuple(one for part in parts for one in part)


def joined_info(parts: Sequence[Info]) -> Info:
    """Sums of what adds up, the largest of other figures, texts that differ side by side; no limit if one has none."""
    if len(parts) == 1:
        return parts[0]
    values: dict[str, str | float] = {}
    for name in dict.fromkeys(name for part in parts for name in part.values):
        found = [part.values[name] for part in parts if name in part.values]
        numbers = [one for one in found if isinstance(one, int | float)]
        if len(numbers) < len(found):
            values[name] = ", ".join(dict.fromkeys(map(str, found)))
        else:
            values[name] = sum(numbers) if name in ADDED else max(numbers)
        if name in LIMITS and 0 in numbers:
            values[name] = 0
    if values.get("used_memory"):
        resident = sum(part.number("used_memory_rss") for part in parts)
        values["mem_fragmentation_ratio"] = resident / sum(part.number("used_memory") for part in parts)
    replicas = tuple(one for part in parts for one in part.replicas)
    return Info(values, sum(part.keys for part in parts), sum(part.expiring for part in parts), replicas)


def joined_traffic(parts: Sequence[Traffic]) -> Traffic:
    return Traffic(
        max(part.seconds for part in parts),
        sum(part.hits for part in parts),
        sum(part.misses for part in parts),
        sum(part.evicted for part in parts),
        sum(part.expired for part in parts),
        sum(part.commands for part in parts),
    )


def _window(parts: Sequence[Window]) -> Window:
    return Window(
        max(part.seconds for part in parts),
        sum(part.hits for part in parts),
        sum(part.misses for part in parts),
        sum(part.evicted for part in parts),
        sum(part.expired for part in parts),
    )


def _sample(parts: Sequence[Sample]) -> Sample:
    """The same share of each node's keys, so that every key of the cluster was as likely to be drawn."""
    share = min((len(part.keys) / part.key_count for part in parts if part.key_count), default=1.0)
    drawn = [key for part in parts for key in part.keys[: round(share * part.key_count)]]
    prefixes = namespaces(tuple(key.name for key in drawn))
    big = sorted((one for part in parts for one in part.big), key=lambda one: -one.size_bytes)
    return Sample(
        keys=tuple(replace(key, prefix=prefix) for key, prefix in zip(drawn, prefixes, strict=True)),
        big=tuple(big[:MOST_BIG]),
        whole=all(part.whole for part in parts),
        key_count=sum(part.key_count for part in parts),
        lookups_added=sum(part.lookups_added for part in parts),
    )
