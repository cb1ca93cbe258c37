"""The circuit breaker around a cache that is down: its state outlives the short runs that cron starts.

Five failures in a row open it; for a minute nobody tries; then one may, and after two successes it is closed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import platformdirs
import pybreaker

from dbtune.core.errors import Unreachable
from dbtune.core.warming import CacheAway, CacheLoading

FAILURES = 5
RESET_S = 60.0
SUCCESSES = 2

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Circuit:
    """`state` is closed, open or half-open; `opened_at` in ISO 8601, UTC."""

    state: str = pybreaker.STATE_CLOSED
    failures: int = 0
    successes: int = 0
    opened_at: str | None = None


class _File(pybreaker.CircuitBreakerStorage):
    """Every change is written beside the file and renamed; what cannot be read is a closed circuit."""

    def __init__(self, path: Path) -> None:
        super().__init__("file")
        self._path = path
        self._circuit = read_circuit(path)

    @property
    def state(self) -> str:
        return self._circuit.state

    @state.setter
    def state(self, state: str) -> None:
        self._set(state=state)

    @property
    def counter(self) -> int:
        return self._circuit.failures

    @property
    def success_counter(self) -> int:
        return self._circuit.successes

    @property
    def opened_at(self) -> datetime | None:
        return datetime.fromisoformat(self._circuit.opened_at) if self._circuit.opened_at else None

    @opened_at.setter
    def opened_at(self, moment: datetime) -> None:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        self._set(opened_at=aware.isoformat())

    def increment_counter(self) -> None:
        self._set(failures=self._circuit.failures + 1)

    def reset_counter(self) -> None:
        self._set(failures=0)

    def increment_success_counter(self) -> None:
        self._set(successes=self._circuit.successes + 1)

    def reset_success_counter(self) -> None:
        self._set(successes=0)

    def _set(self, **changes: object) -> None:
        changed = replace(self._circuit, **changes)  # type: ignore[arg-type]
        if changed == self._circuit:
            return
        self._circuit = changed
        beside = self._path.with_suffix(f".{os.getpid()}.part")
        # A state that cannot be kept (a full disk, no home) must not keep the cache from being warmed.
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(asdict(changed)), encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            logging.getLogger(__name__).debug("the breaker's state cannot be kept: %s", error)
            with contextlib.suppress(OSError):
                beside.unlink()


class _Transitions(pybreaker.CircuitBreakerListener):
    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        if old_state is not None:
            self._told(f"circuit {old_state.name} -> {new_state.name}")


class Breaker:
    """Of one target. `told` hears of every transition; `state` is visible before and after."""

    def __init__(self, target: str, told: Callable[[str], None], *, path: Path | None = None) -> None:
        self._target = target
        self._path = path or circuit_path(target)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=FAILURES,
            reset_timeout=RESET_S,
            success_threshold=SUCCESSES,
            exclude=[lambda error: not isinstance(error, CacheAway) or isinstance(error, CacheLoading)],
            state_storage=_File(self._path),
            listeners=[_Transitions(told)],
            throw_new_error_on_trip=False,
        )

    @property
    def state(self) -> str:
        return str(self._breaker.current_state)

    def call(self, work: Callable[[], Result]) -> Result:
        """What `work` returns. Raises what it raises, and Unreachable without a try while the circuit is open."""
        try:
            # Around the work, not through it: pybreaker would hold its lock, and one step would wait for the other.
            with self._breaker.calling():
                return work()
        except pybreaker.CircuitBreakerError as error:
            opened_at = read_circuit(self._path).opened_at
            until = datetime.fromisoformat(opened_at) + timedelta(seconds=RESET_S) if opened_at else None
            raise Unreachable(
                f"{self._target} failed {FAILURES} times in a row: the circuit is open"
                + (f" until {until:%H:%M:%S} UTC" if until else ""),
                hint=f"it is tried again then; to try now, remove {self._path}",
            ) from error


def circuit_path(target: str) -> Path:
    """One file for each target, without its password."""
    digest = hashlib.sha256(target.encode()).hexdigest()[:16]
    return platformdirs.user_state_path("dbtune") / "circuits" / f"{digest}.json"


def read_circuit(path: Path) -> Circuit:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        opened_at = found["opened_at"]
        if opened_at is not None:
            datetime.fromisoformat(opened_at)
        return Circuit(str(found["state"]), int(found["failures"]), int(found["successes"]), opened_at)
    except (OSError, ValueError, TypeError, KeyError):
        return Circuit()
