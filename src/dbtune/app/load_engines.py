"""From a load as it is written to the engine that runs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.core.errors import Misused, Unsupported
from dbtune.load.live import Ended, Watch
from dbtune.load.model import Script
from dbtune.load.recorder import Recorder
from dbtune.load.stages import Segment
from dbtune.steps.load import Load

if TYPE_CHECKING:
    from dbtune.app.targets import OpenTargets
    from dbtune.servers.load import pgbench as pgbench_module
    from dbtune.servers.load.programs import Program
    from dbtune.servers.load.threads import Worker

Runs = Callable[[Sequence[Segment], Recorder, Watch], Iterator[Ended]]

_WRITES = re.compile(
    r"(?:^|[;(])\s*(insert|update|delete|merge|truncate|create|alter|drop|copy|vacuum|reindex|refresh|grant|revoke)\b",
    re.IGNORECASE,
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/|^\s*\\[^\n]*$", re.DOTALL | re.MULTILINE)


def _nothing() -> None:
    """Most engines leave nothing behind on the server."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`title` is part of a measurement's identity: `pgbench prepared`. `run` yields once for each segment or run.

    `parts`: the stages, where the engine knows them and not the playbook. `cancel` ends what still runs on the server.
    """

    title: str
    run: Runs
    version: str | None = None
    whole_seconds: bool = False
    parts: tuple[Segment, ...] = ()
    notes: tuple[str, ...] = ()
    cancel: Callable[[], None] = field(default=_nothing)


@contextmanager
def engine_for(
    load: Load, targets: OpenTargets, directory: Path, *, mark: str, worker: tuple[int, int] | None
) -> Iterator[Engine]:
    """`directory` is the playbook's; `mark` tells the sessions of this load from all others.

    `worker` matters to scripts with stages of their own; others are given their share. Raises DbtuneErrors.
    """
    name = load.chosen_engine
    if name == "pgbench":
        with _pgbench(load, targets, directory, mark) as engine:
            yield engine
    elif name == "python":
        yield _python(load, targets, directory)
    else:
        with _http(load, directory, name, worker) as engine:
            yield engine


@contextmanager
def _pgbench(load: Load, targets: OpenTargets, directory: Path, mark: str) -> Iterator[Engine]:
    from dbtune.servers.load import pgbench
    from dbtune.servers.load.connection import cancel_sessions, place_of
    from dbtune.servers.load.programs import find_pgbench
    from dbtune.servers.load.workplace import private_directory
    from dbtune.servers.postgres.session import connect, look_at

    program = find_pgbench()
    scripts = tuple(_script(name, script, directory) for name, script in load.scripts.items())
    dsn = targets.postgres or ""
    with connect(dsn) as session:
        place = place_of(dsn, session, mark)
        if look_at(session).in_recovery:
            _refuse_writes(scripts)
    _refuse_unknown_options(load, program)
    job = pgbench.Job(
        program=program,
        conninfo=place.conninfo,
        environment=place.environment,
        scripts=scripts,
        protocol=load.protocol,
        max_tries=load.max_tries,
        variables=load.variables,
        seed=load.seed,
        sample=load.sample,
    )
    with private_directory() as private:

        def run(parts: Sequence[Segment], recorder: Recorder, watch: Watch) -> Iterator[Ended]:
            runner = pgbench.Pgbench(job, private, recorder, watch)
            for part in parts:
                yield runner.run(part)

        yield Engine(
            title=f"pgbench {load.protocol}",
            run=run,
            version=program.version_text,
            whole_seconds=True,
            notes=_rounded(load),
            cancel=partial(cancel_sessions, dsn, place.application_name),
        )


def _rounded(load: Load) -> tuple[str, ...]:
    lengths = [load.warm_up, *(stage.duration for stage in load.chosen_stages)]
    parts = any(length != round(length) for length in lengths)
    return ("pgbench runs whole seconds: the lengths of the stages were rounded, to one at least",) if parts else ()


def _script(name: str, script: Script, directory: Path) -> pgbench_module.Script:
    from dbtune.servers.load.pgbench import Script as Runnable

    text = script.sql
    if script.file is not None:
        try:
            text = (directory / script.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misused(
                f"the script {script.file} of {name} cannot be read: {error}",
                hint="its path counts from the playbook's directory",
            ) from error
    return Runnable(name, text, script.builtin, script.weight)


def _refuse_writes(scripts: Sequence[pgbench_module.Script]) -> None:
    """A replica would refuse each of these statements, one client after the other."""
    for script in scripts:
        found = _WRITES.search(_COMMENTS.sub("", script.text or ""))
        if found or script.builtin not in (None, "select-only"):
            what = found[1].upper() if found else script.builtin
            raise Unsupported(
                f"the script {script.name} writes ({what}), and the server is a read-only replica",
                hint="connect to the primary, or load the replica with scripts that only read",
            )


def _refuse_unknown_options(load: Load, program: Program) -> None:
    if load.max_tries > 1 and program.version < (15,):
        raise Unsupported(
            f"max_tries needs pgbench 15 or later; {program.path} is {program.version_text}",
            hint='pip install "dbtune[embedded]" brings a newer one',
        )


def _python(load: Load, targets: OpenTargets, directory: Path) -> Engine:
    from dbtune.servers.load.flows import find_flow, make_worker

    places = [script.flow or "" for script in load.scripts.values()]
    makers = [(place, find_flow(place, directory)) for place in places]
    weights = [script.weight for script in load.scripts.values()]
    make = partial(make_worker, makers, targets.postgres, targets.redis)
    return Engine(title="python threads", run=partial(_in_threads, make, weights))


def _in_threads(
    make: Callable[[], Worker], weights: Sequence[int], parts: Sequence[Segment], recorder: Recorder, watch: Watch
) -> Iterator[Ended]:
    from dbtune.servers.load.threads import Threads

    threads = Threads(make, weights, recorder, watch)
    try:
        for part in parts:
            yield threads.run(part)
    finally:
        threads.close()


@contextmanager
def _http(load: Load, directory: Path, name: str, worker: tuple[int, int] | None) -> Iterator[Engine]:
    from dbtune.servers.load.programs import find_k6

    program = None if name == "httpx" else find_k6()
    if program is not None:
        with _k6(load, directory, program, worker) as engine:
            yield engine
    elif name == "k6":
        raise Unsupported(
            "k6 is not found, which this load needs",
            hint="install k6 (https://k6.io), or name the program in DBTUNE_K6; `endpoints` can be run with httpx too",
        )
    else:
        yield _httpx(load)


def _httpx(load: Load) -> Engine:
    import importlib.metadata

    from dbtune.servers.load.http import Request, http_worker

    requests = [
        Request(name, one.method, one.url, one.headers, one.body, one.status, one.weight)
        for name, one in load.endpoints.items()
    ]
    http_worker(requests[:0]).close()  # says at once when httpx is missing
    return Engine(
        title="httpx",
        run=partial(_in_threads, partial(http_worker, requests), [request.weight for request in requests]),
        version=importlib.metadata.version("httpx"),
    )


@contextmanager
def _k6(load: Load, directory: Path, program: Program, worker: tuple[int, int] | None) -> Iterator[Engine]:
    from dbtune.load.k6_script import k6_script, k6_segment
    from dbtune.servers.load.k6 import K6, inspect
    from dbtune.servers.load.workplace import private_directory

    with private_directory() as private:
        parts: tuple[Segment, ...] = ()
        own = None
        if load.script is not None:
            own = (directory / load.script).resolve()
            if not own.is_file():
                raise Misused(
                    f"the k6 script {load.script} is not there", hint="its path counts from the playbook's directory"
                )
            seconds, most = inspect(program, own, own.parent)
            parts = (Segment(0.0, max(seconds, 1.0), most, None, 0),)

        def run(parts: Sequence[Segment], recorder: Recorder, watch: Watch) -> Iterator[Ended]:
            measured = [part for part in parts if part.stage >= 0]
            script = own
            if script is None:
                script = private / "load.js"
                try:
                    script.write_text(k6_script(load.endpoints, measured), encoding="utf-8")
                except ValueError as error:
                    raise Misused(str(error), hint="or use `engine: httpx`") from error
            where = script.parent if own is not None else private
            segment = k6_segment(*worker) if own is not None and worker is not None else ()
            yield K6(program, script, recorder, watch, segment).run(where, private, measured[-1].end_s)

        notes = ("k6 has no warm-up of its own: warm_up is left out",) if load.warm_up else ()
        yield Engine("k6", run, program.version_text, parts=parts, notes=notes)
