"""Python flows of an application: `module:function`, where function(postgres_dsn, redis_url) returns a callable."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dbtune.core.errors import DbtuneError, Misused, Unreachable
from dbtune.core.secrets import mask_password

Maker = Callable[[str | None, str | None], object]
_HINT = "name it as module:function, where function(postgres_dsn, redis_url) returns what each client calls"


@dataclass(frozen=True, slots=True)
class FlowWorker:
    """One client: a callable for each flow, with connections of its own."""

    calls: tuple[Callable[[], object], ...]

    def close(self) -> None:
        for call in self.calls:
            close = getattr(call, "close", None)
            if callable(close):
                with contextlib.suppress(Exception):
                    close()


def find_flow(place: str, directory: Path) -> Maker:
    """Modules of the playbook's and of the current directory are found too. Raises Misused."""
    for path in (str(directory.resolve()), str(Path.cwd())):
        if path not in sys.path:
            sys.path.insert(0, path)
    module, _, function = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise Misused(f"the flow {place!r} cannot be loaded: {mask_password(str(error))}", hint=_HINT) from error
    if not callable(found):
        raise Misused(f"the flow {place!r} is {type(found).__name__}, which cannot be called", hint=_HINT)
    make: Maker = found
    return make


def make_worker(makers: Sequence[tuple[str, Maker]], postgres: str | None, redis: str | None) -> FlowWorker:
    """Raises Unreachable when a flow cannot begin, Misused when it returns nothing that can be called."""
    calls: list[Callable[[], object]] = []
    for place, make in makers:
        try:
            call = make(postgres, redis)
        except DbtuneError:
            raise
        except Exception as error:
            text = mask_password(" ".join(str(error).split()))
            raise Unreachable(
                f"the flow {place!r} cannot begin: {type(error).__name__}: {text}",
                hint="it gets the DSN of --postgres and the URL of --redis; None for one that was not named",
            ) from error
        if not callable(call):
            raise Misused(f"the flow {place!r} returned {type(call).__name__}, which cannot be called", hint=_HINT)
        calls.append(call)
    return FlowWorker(tuple(calls))
