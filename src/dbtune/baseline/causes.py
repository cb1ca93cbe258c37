"""Why a statement changed: its plan before and after, the indexes it uses now, and the step that made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dbtune.baseline.capture import Capture, Change, NamedPlan
from dbtune.baseline.outcome import NewIndex, PlanChange, StatementChange
from dbtune.baseline.plans import compare_plan, indexes_of
from dbtune.baseline.rows import IndexRow


def explained(
    statements: Sequence[StatementChange], before: Capture, after: Capture, changes: Sequence[Change]
) -> tuple[StatementChange, ...]:
    """The same statements with their plans and causes."""
    old, new = _plans(before), _plans(after)
    return tuple(_explained(statement, old, new, changes) for statement in statements)


def new_indexes(before: Capture, after: Capture, changes: Sequence[Change]) -> tuple[NewIndex, ...]:
    """Indexes that only `after` has; who built them, and for how long, where the journal knows."""
    if not before.snapshots or not after.snapshots:
        return ()
    known = {(row.schema, row.name) for row in before.snapshots[-1].indexes}
    first = {(row.schema, row.name): row for row in after.snapshots[0].indexes}
    makers = {name: change for change in changes if change.kind == "index" for name in change.objects}
    return tuple(
        replace(
            _new_index(row, first.get((row.schema, row.name)), makers.get(f"{row.schema}.{row.name}")),
            definition=after.definitions.get(f"{row.schema}.{row.name}"),
        )
        for row in sorted(after.snapshots[-1].indexes, key=lambda row: (row.schema, row.table, row.name))
        if (row.schema, row.name) not in known
    )


def _new_index(last: IndexRow, first: IndexRow | None, maker: Change | None) -> NewIndex:
    scans = last.idx_scan - (first.idx_scan if first and first.idx_scan <= last.idx_scan else 0)
    return NewIndex(
        table=f"{last.schema}.{last.table}",
        name=last.name,
        definition=None,
        size_bytes=last.size_bytes or (maker.size_bytes if maker else None),
        build_s=maker.duration_s if maker else None,
        scans=scans,
        playbook=maker.playbook if maker else None,
    )


def _plans(capture: Capture) -> Mapping[str, NamedPlan]:
    return {plan.queryid: plan for plan in capture.plans if plan.queryid is not None}


def _explained(
    statement: StatementChange,
    old: Mapping[str, NamedPlan],
    new: Mapping[str, NamedPlan],
    changes: Sequence[Change],
) -> StatementChange:
    before = next((old[queryid] for queryid in statement.queryids if queryid in old), None)
    after = next((new[queryid] for queryid in statement.queryids if queryid in new), None)
    if before is None and after is None:
        return statement
    plan = compare_plan(before, after)
    indexes = indexes_of(before), indexes_of(after)
    found = tuple(dict.fromkeys(_causes(plan, indexes, changes))) if before and after else ()
    return replace(statement, plan=plan, indexes_before=indexes[0], indexes_after=indexes[1], causes=found)


def _causes(
    plan: PlanChange, indexes: tuple[tuple[str, ...], tuple[str, ...]], changes: Sequence[Change]
) -> Iterator[str]:
    """An index that the plan uses only now is a cause; a setting or new statistics may be one."""
    fresh = set(indexes[1]) - set(indexes[0])
    sure = False
    for change in changes:
        made = fresh & {name.rpartition(".")[2] for name in change.objects}
        if change.kind == "index" and made:
            sure = True
            yield f'{change.playbook}: "{change.step}" made {", ".join(sorted(made))}'
    if sure or not plan.changed:
        return
    for change in changes:
        if change.kind in ("setting", "analyze", "sql"):
            what = f" ({', '.join(change.objects)})" if change.objects else ""
            yield f'perhaps {change.playbook}: "{change.step}"{what}'
