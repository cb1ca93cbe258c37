"""Actions handed to the server that they are for."""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.app.workspace import Workspace
from dbtune.core.actions import Action, DropIndex, ForgetKeys, SetRedisSetting, WarmKeys
from dbtune.core.journal import Journal, JournalStep
from dbtune.core.progress import Progress
from dbtune.servers.postgres.journal import TableJournal, conclude_in
from dbtune.servers.postgres.perform import Performer
from dbtune.servers.postgres.session import Connection, Limits, connect


def perform_all(
    workspace: Workspace, journal: Journal, step: JournalStep, budget_s: float | None, progress: Progress
) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """Performs a step's actions; returns its undo, sharpened by what was seen, and notes for the report."""

    def conclude_with(session: Connection) -> None:
        # A transactional change and its conclusion commit together, so that a crash in between cannot part them.
        if isinstance(journal, TableJournal) and len(step.actions) == 1:
            conclude_in(session, step, "applied")

    performer = Performer(workspace.dsn, workspace.server.database, progress, budget_s, conclude_with)
    undo: list[Action] = list(step.undo)
    notes: list[str] = []
    for action in step.actions:
        if isinstance(action, WarmKeys):
            notes += _warm(workspace, action, budget_s, progress)
            continue
        if isinstance(action, SetRedisSetting):
            _set(workspace, action)
            continue
        seen = performer.perform(action)
        if isinstance(seen, DropIndex):
            undo = [
                seen if isinstance(planned, DropIndex) and planned.index == seen.index else planned for planned in undo
            ]
    return tuple(undo), tuple(notes)


def take_back(workspace: Workspace, action: Action, progress: Progress) -> None:
    """Performs one action of an undo that was judged to be safe."""
    if isinstance(action, ForgetKeys):
        from dbtune.servers.redis.warm import forget

        if workspace.redis_client is not None:
            forget(workspace.redis_client, action)
        return
    if isinstance(action, SetRedisSetting):
        _set(workspace, action)
        return
    Performer(workspace.dsn, workspace.server.database, progress).perform(action)


def _set(workspace: Workspace, action: SetRedisSetting) -> None:
    from dbtune.servers.redis.settings import set_setting

    if workspace.redis_client is None:
        raise AssertionError("a setting of Redis was planned although none was named")
    set_setting(workspace.redis_client, action)


def _warm(workspace: Workspace, action: WarmKeys, budget_s: float | None, progress: Progress) -> Sequence[str]:
    from dbtune.core.units import format_duration, format_size
    from dbtune.servers.redis.lock import held, lock_name
    from dbtune.servers.redis.pace import Pace
    from dbtune.servers.redis.warm import warm

    if workspace.redis_client is None:
        raise AssertionError("a warm-up was planned although no Redis was named")
    client, pace = workspace.redis_client, Pace()
    with (
        # `dbtune warm` must not be at the same keys.
        held(client, lock_name(action.marker), lost=pace.stop),
        connect(workspace.dsn, limits=Limits(work_s=budget_s or 0)) as session,
    ):
        warmed = warm(session, client, action, progress=lambda keys: progress(f"{keys:,} keys warmed"), pace=pace)
    what = f"{warmed.keys:,} keys, {format_size(warmed.bytes)} in {format_duration(warmed.duration_s)}"
    return (what, *warmed.notes)
