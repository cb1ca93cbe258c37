"""An open target: sessions, facts about it, and its journal. What every playbook command works in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dbtune.app.targets import OpenTargets
from dbtune.core.errors import Unsupported
from dbtune.core.questions import CachedValue, Facts, Journaled, Measured, Question, RedisSetting, Server
from dbtune.servers.postgres import answers
from dbtune.servers.postgres.errors import describe_target
from dbtune.servers.postgres.session import Connection, connect, look_at

if TYPE_CHECKING:
    from dbtune.core.actions import Action
    from dbtune.core.journal import Journal
    from dbtune.servers.redis.session import Client

ROUNDS = 8
"""Questions that answers raise in turn: three rounds are the most that any step kind needs."""

Asker = TypeVar("Asker")


@dataclass(frozen=True, slots=True)
class Workspace:
    """`session` is read-only, held so by the server. `redis_client` is None where no Redis was named."""

    dsn: str
    session: Connection
    server: Server
    redis_client: Client | None

    @property
    def target(self) -> str:
        """What is worked on, in words and without passwords."""
        described = describe_target(self.dsn)
        host = self.session.info.host or "localhost"
        return described if self.dsn else f"{self.session.info.dbname}@{host}:{self.session.info.port}"

    def refuse_replica(self) -> None:
        """Raises Unsupported on a server that is only a copy."""
        if self.server.in_recovery:
            raise Unsupported(
                f"{self.target} is a read-only replica: nothing can be changed there", hint="connect to the primary"
            )

    def learn(
        self,
        askers: Iterable[Asker],
        ask: Callable[[Asker, Facts], Iterable[Question]],
        *,
        fresh: bool = False,
    ) -> Facts:
        """Answers to everything that `askers` want to know, each round of questions in one batch.

        `fresh` asks over a new session, which alone sees settings as new clients will.
        """
        waiting = tuple(askers)
        with connect(self.dsn) if fresh else contextlib.nullcontext(self.session) as session:
            facts = Facts(self.server)
            for _ in range(ROUNDS):
                # A dict keeps the order: the same playbook asks the same way every time.
                wanted = dict.fromkeys(
                    question for asker in waiting for question in ask(asker, facts) if not facts.knows(question)
                )
                if not wanted:
                    return facts
                facts = replace(facts, answers={**facts.answers, **self._answer(session, tuple(wanted))})
        raise AssertionError(f"questions without end: {list(wanted)[:3]}")

    def _answer(self, session: Connection, questions: Sequence[Question]) -> Mapping[Question, Any]:
        found = dict(answers.answer(session, questions))
        journaled = [question for question in questions if isinstance(question, Journaled)]
        if journaled:
            done = self.applied_before({question.fingerprint for question in journaled})
            found |= {question: question.fingerprint in done for question in journaled}
        for question in questions:
            if isinstance(question, CachedValue):
                found[question] = self._cached(question)
            if isinstance(question, RedisSetting):
                found[question] = self._setting(question)
            if isinstance(question, Measured):
                # Few playbooks ask, and statistics take a while to import.
                from dbtune.app.baseline_store import measured

                found[question] = measured(question)
        return found

    def _cached(self, question: CachedValue) -> object:
        from dbtune.servers.redis.answers import answer

        if self.redis_client is None:
            raise AssertionError("a step asked Redis although none was named")
        return answer(self.redis_client, question)

    def _setting(self, question: RedisSetting) -> object:
        from dbtune.servers.redis.settings import answer_setting

        if self.redis_client is None:
            raise AssertionError("a step asked Redis although none was named")
        return answer_setting(self.redis_client, question)

    def applied_before(self, fingerprints: Collection[str]) -> frozenset[str]:
        journal = self.readable_journal()
        return journal.applied(fingerprints) if journal else frozenset()

    def readable_journal(self, session: Connection | None = None) -> Journal | None:
        """The journal as it is, or None where nothing was ever written."""
        # Warming keeps none, and starts every few minutes: the sooner the better.
        from dbtune.app.file_journal import FileJournal, journal_path
        from dbtune.servers.postgres.journal import TableJournal, journal_state

        state = journal_state(session or self.session)
        path = journal_path(state.system, self.server.database)
        # The one that this role would write to. Who may only read the tables has written elsewhere.
        if state.present and state.readable and (state.writable or not path.exists()):
            return TableJournal(session or self.session)
        return FileJournal(path) if path.exists() else None

    def writable_journal(self, control: Connection) -> Journal:
        """Tables in the target where the role may have them, else a local file."""
        from dbtune.app.file_journal import FileJournal, journal_path
        from dbtune.servers.postgres.journal import TableJournal, journal_state, make_tables

        state = journal_state(control)
        if not state.present and state.creatable:
            make_tables(control)
            return TableJournal(control)
        if state.present and state.readable and state.writable:
            return TableJournal(control)
        return FileJournal(journal_path(state.system, self.server.database))

    def statements(self, actions: Iterable[Action]) -> tuple[str, ...]:
        """What would be sent, exactly, passwords masked."""
        from dbtune.core.secrets import mask_password
        from dbtune.servers.postgres.statements import render

        return tuple(mask_password(text) for action in actions for text in render(action, self.server.database))


@contextlib.contextmanager
def opened(targets: OpenTargets) -> Iterator[Workspace]:
    """Raises Unreachable, Refused, Unsupported."""
    with contextlib.ExitStack() as stack:
        client = None
        if targets.redis is not None:
            from dbtune.servers.redis.session import connect_whole as connect_redis

            client = stack.enter_context(contextlib.closing(connect_redis(targets.redis)))
        dsn = targets.postgres or ""
        session = stack.enter_context(connect(dsn))
        yield Workspace(dsn, session, look_at(session, has_redis=client is not None), client)
