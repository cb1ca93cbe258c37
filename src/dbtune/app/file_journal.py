"""The journal as a local file, for roles that may not make a schema in the target: one JSON event a line."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import TypeAdapter

from dbtune.core.actions import Action, actions_adapter
from dbtune.core.journal import JournalStep, Run, RunStatus, StepState


@cache
def _run_adapter() -> TypeAdapter[Run]:
    return TypeAdapter(Run)


@cache
def _step_adapter() -> TypeAdapter[JournalStep]:
    return TypeAdapter(JournalStep)


def journal_path(system: str, database: str) -> Path:
    """One file per database: `system` is the cluster's identifier, so that a renamed host keeps its journal."""
    safe = "".join(char if char.isalnum() or char in "-_" else f"%{ord(char):x}" for char in database)
    return platformdirs.user_state_path("dbtune") / "journal" / f"{system}-{safe}.jsonl"


class FileJournal:
    """Events are appended and flushed to the disk; the state is what they add up to. A torn last line is ignored."""

    commits_with_the_change = False

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        return str(self._path)

    def begin(self, run: Run) -> None:
        for earlier in self.runs():
            if earlier.status == "running" and earlier.run_id != run.run_id:
                self.end(earlier.run_id, "interrupted")
        self._append("begin", json.loads(_run_adapter().dump_json(run)))

    def intend(self, step: JournalStep) -> None:
        self._append("intend", json.loads(_step_adapter().dump_json(replace(step, started_at=datetime.now(UTC)))))

    def conclude(
        self,
        step: JournalStep,
        status: StepState,
        *,
        undo: tuple[Action, ...] | None = None,
        after: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        changes = {
            "undo": None if undo is None else json.loads(actions_adapter().dump_json(undo)),
            "after": None if after is None else dict(after),
            "error": error,
        }
        told = {name: value for name, value in changes.items() if value is not None}
        self._append("conclude", {"run_id": step.run_id, "place": step.place, "status": status, **told})

    def end(self, run_id: str, status: RunStatus) -> None:
        self._append("end", {"run_id": run_id, "status": status})

    def runs(self, most: int = 100) -> tuple[Run, ...]:
        found: dict[str, Run] = {}
        for event, at, value in self._events():
            if event == "begin":
                found[value["run_id"]] = _run_adapter().validate_python(value)
            elif event == "end" and value["run_id"] in found:
                found[value["run_id"]] = replace(found[value["run_id"]], status=value["status"], ended_at=at)
        steps = Counter(run_id for run_id, _ in self._steps())
        found = {run_id: replace(run, steps=steps[run_id]) for run_id, run in found.items()}
        return tuple(sorted(found.values(), key=lambda run: (run.started_at, run.run_id), reverse=True))[:most]

    def steps(self, run_id: str) -> tuple[JournalStep, ...]:
        return tuple(step for step in self._steps().values() if step.run_id == run_id)

    def applied(self, fingerprints: Collection[str]) -> frozenset[str]:
        done = {step.fingerprint for step in self._steps().values() if step.status == "applied"}
        return frozenset(done & set(fingerprints))

    def _steps(self) -> dict[tuple[str, int], JournalStep]:
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for event, at, value in self._events():
            if event == "intend":
                found[value["run_id"], value["place"]] = value
            elif event == "conclude" and (key := (value["run_id"], value["place"])) in found:
                made = found[key].get("status") == "applied" and value["status"] == "failed"
                found[key] = found[key] | value | {"ended_at": at} | ({"status": "applied"} if made else {})
        return {key: _step_adapter().validate_python(value) for key, value in found.items()}

    def _append(self, event: str, value: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line = json.dumps({"event": event, "at": datetime.now(UTC).isoformat(), "value": value})
        # A line that a crash tore must not swallow the next one: each begins on a line of its own.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"\n{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _events(self) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                read = json.loads(line)
            except json.JSONDecodeError:
                continue
            yield read["event"], datetime.fromisoformat(read["at"]), read["value"]
