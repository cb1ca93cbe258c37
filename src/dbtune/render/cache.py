"""A look at the cache in every form: the same tables, then the findings as an audit shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dbtune.core.cache_report import TTL_EDGES_S, CacheReport, NodeUse
from dbtune.core.findings import AuditReport
from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.render.document import to_json
from dbtune.render.text import markdown, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR = 24
SHOWN = 12
LIVES = ("1 s", "10 s", "1 min", "10 min", "1 h", "6 h", "1 d", "7 d")
"""TTL_EDGES_S, in words."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table: the first column to the left, the others to the right."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def facts(report: CacheReport) -> tuple[tuple[str, str], ...]:
    """(label, text) of the server as a whole."""
    found: list[tuple[str, str]] = []
    if report.traffic is not None:
        traffic = report.traffic
        asked = (
            f"{traffic.hit_rate:.1%} of {traffic.hits + traffic.misses:,.0f}" if traffic.hit_rate is not None else ""
        )
        found += [
            ("hit rate", f"{asked or 'no look-ups'} in {format_duration(traffic.seconds)}"),
            ("commands", f"{traffic.ops_per_s:,.0f} a second"),
            ("evicted", f"{traffic.evicted:,.0f}"),
            ("expired", f"{traffic.expired:,.0f}"),
        ]
    if report.memory is not None:
        memory = report.memory
        limit = format_size(memory.limit_bytes) if memory.limit_bytes else "no limit"
        share = f" ({memory.used_bytes / memory.limit_bytes:.0%})" if memory.limit_bytes else ""
        found.append(("memory", f"{format_size(memory.used_bytes)} of {limit}{share}, {one_line(memory.policy)}"))
        found.append(("peak", format_size(memory.peak_bytes)))
        if memory.fragmentation is not None:
            found.append(("fragmentation", f"{memory.fragmentation:.2f}"))
    if report.keys is not None:
        found.append(("keys", f"{report.keys:,}, {report.expiring or 0:,} of them expire"))
    return tuple(found)


def sections(report: CacheReport, *, most: int | None = None) -> Iterator[Section]:
    """Those that have something to show."""
    if report.nodes:
        headings = ("node", "keys", "memory", "of", "hit rate", "commands/s", "evicted")
        yield _filled(Section("Nodes", headings, tuple(map(_node_row, report.nodes))))
    if report.commands:
        rows = [
            (one_line(one.command), f"{one.calls:,}", *map(format_duration, (one.p50_s, one.p95_s, one.p99_s)))
            for one in report.commands
        ]
        yield Section("Commands, within the server", ("command", "calls", "p50 ≤", "p95 ≤", "p99 ≤"), tuple(rows))
    if report.prefixes:
        headings = ("prefix", "keys", "memory", "median life", "never expire", "misses", "hit rate")
        yield _filled(Section("Prefixes", headings, tuple(_prefix_rows(report))[:most]))
    if report.sampled:
        counts = zip(_life_labels(), report.lives, strict=True)
        rows = [(label, f"{count:,}", _bar(count, max(report.lives))) for label, count in counts]
        yield Section(f"How long {report.sampled:,} sampled keys still live", ("up to", "keys", ""), tuple(rows))
    if report.heaviest:
        rows = [
            (one_line(one.key), one_line(one.kind), format_size(one.size_bytes), f"{one.elements:,}")
            for one in report.heaviest
        ]
        yield Section("The biggest keys of the sample", ("key", "kind", "memory", "elements"), tuple(rows))


def _node_row(node: NodeUse) -> tuple[str, ...]:
    traffic, memory = node.traffic, node.memory
    return (
        one_line(node.target),
        "" if node.keys is None else f"{node.keys:,}",
        "" if memory is None else format_size(memory.used_bytes),
        "" if memory is None else format_size(memory.limit_bytes) if memory.limit_bytes else "no limit",
        "" if traffic is None or traffic.hit_rate is None else f"{traffic.hit_rate:.1%}",
        "" if traffic is None else f"{traffic.ops_per_s:,.0f}",
        "" if traffic is None else f"{traffic.evicted:,.0f}",
    )


def _prefix_rows(report: CacheReport) -> Iterator[tuple[str, ...]]:
    for one in report.prefixes:
        yield (
            one_line(one.prefix),
            f"{one.keys:,}",
            format_size(one.size_bytes),
            "" if one.lives_s is None else format_duration(one.lives_s),
            f"{one.lasting:.0%}" if one.keys else "",
            "" if one.misses is None else f"{one.misses:,}",
            "" if one.hit_rate is None else f"{one.hit_rate:.0%}",
        )


def _filled(section: Section) -> Section:
    """Without columns in which nothing stands."""
    kept = [place for place in range(len(section.headings)) if not place or any(row[place] for row in section.rows)]
    rows = tuple(tuple(row[place] for place in kept) for row in section.rows)
    return Section(section.title, tuple(section.headings[place] for place in kept), rows)


def _life_labels() -> tuple[str, ...]:
    return (*LIVES, "longer", "for ever")


def _bar(count: int, most: int) -> str:
    return "█" * (max(1, round(BAR * count / most)) if count else 0)


def as_audit(report: CacheReport) -> AuditReport:
    """The findings in the form for which audits have renderers."""
    return AuditReport(
        report.target,
        report.started_at,
        report.duration_s,
        report.findings,
        report.skipped,
        report.examined,
        notes=report.notes,
    )


def render_terminal(report: CacheReport, screen: Screen) -> str:
    from rich.table import Table
    from rich.text import Text

    from dbtune.render.audit_terminal import render as render_findings
    from dbtune.render.paint import paint

    parts: list[RenderableType] = [Text.assemble(("cache", "bold"), f" {one_line(report.target)}"), Text()]
    parts += [Text.assemble((f"{label}: ", "dim"), text) for label, text in facts(report)]
    for section in sections(report, most=None if screen.verbose else SHOWN):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for place, heading in enumerate(section.headings):
            table.add_column(heading, justify="left" if place in (0, _bar_at(section)) else "right", overflow="fold")
        for row in section.rows:
            table.add_row(*map(Text, row))
        parts += [Text(), Text(section.title, style="bold"), table]
    return paint(screen, [*parts, Text()]) + render_findings(as_audit(report), screen)


def _bar_at(section: Section) -> int:
    return section.headings.index("") if "" in section.headings else 0


def render_json(report: CacheReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    from dbtune.render.audit_json import finding_document

    traffic = report.traffic
    return to_json(
        envelope("dbtune.cache/1", report.target, report.started_at, report.duration_s)
        | {
            "server": report.server,
            "hit_rate": traffic.hit_rate if traffic else None,
            "window": None if traffic is None else asdict(traffic) | {"ops_per_s": traffic.ops_per_s},
            "memory": None if report.memory is None else asdict(report.memory),
            "keys": report.keys,
            "expiring": report.expiring,
            "sampled": report.sampled,
            "commands": [asdict(one) for one in report.commands],
            "prefixes": [asdict(one) | {"hit_rate": one.hit_rate} for one in report.prefixes],
            "ttl_histogram": _lives(report),
            "biggest_keys": [asdict(one) for one in report.heaviest],
            "findings": [finding_document(finding) for finding in report.findings],
            "skipped": [asdict(one) for one in report.skipped],
            "notes": list(report.notes),
            "nodes": [_node_document(node) for node in report.nodes],
        }
    )


def _node_document(node: NodeUse) -> dict[str, Any]:
    return asdict(node) | {"hit_rate": node.traffic.hit_rate if node.traffic else None}


def _lives(report: CacheReport) -> list[dict[str, Any]]:
    edges = [*TTL_EDGES_S, None, None]
    return [
        {"up_to_s": edge, "keys": count, "expires": place < len(edges) - 1}
        for place, (edge, count) in enumerate(zip(edges, report.lives, strict=False))
    ]


def render_markdown(report: CacheReport, screen: Screen) -> str:
    from dbtune.render.audit_markdown import render as render_findings

    lines = [f"# Cache {markdown(report.target)}", ""]
    lines += [f"- {label}: {markdown(text)}" for label, text in facts(report)]
    for section in sections(report):
        lines += ["", f"## {markdown(section.title)}", "", f"| {' | '.join(section.headings)} |"]
        lines.append(f"|---{'|---:' * (len(section.headings) - 1)}|")
        lines += [f"| {' | '.join(map(markdown, row))} |" for row in section.rows]
    return "\n".join(lines) + "\n\n" + render_findings(as_audit(report), screen)


def render_html(report: CacheReport, screen: Screen) -> str:  # noqa: ARG001
    from dbtune.render.audit_outline import CONFIDENCE, check_title, evidence, gaps, groups, summary, tone
    from dbtune.render.page import render_page
    from dbtune.render.text import plain

    audit = as_audit(report)
    return render_page(
        "cache.html",
        made_at=report.started_at,
        report=audit,
        facts=facts(report),
        sections=list(sections(report)),
        groups=groups(audit),
        gaps=gaps(audit.skipped),
        summary=summary(audit),
        tone=tone(audit),
        evidence=evidence,
        remarks=CONFIDENCE,
        check_title=check_title,
        line=one_line,
        plain=plain,
    )


RENDERERS: Renderers[CacheReport] = {
    "terminal": render_terminal,
    "json": render_json,
    "markdown": render_markdown,
    "html": render_html,
}
