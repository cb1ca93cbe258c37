"""Whether an undo may go ahead: only over what our own run left, never over somebody else's work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbtune.core.actions import Action, DropIndex, RunSql, SetRedisSetting, SetSetting
from dbtune.core.identifiers import quote
from dbtune.core.questions import Catalog, Facts, Failed, Holds, Question, RedisSetting
from dbtune.steps import index_catalog as catalog
from dbtune.steps.index_catalog import IndexRow
from dbtune.steps.parameters import Wanted
from dbtune.steps.redis_setting import same


@dataclass(frozen=True, slots=True)
class Guard:
    """`proceed`, or the reason why not: `kept` is somebody else's state, without it there is nothing to do."""

    proceed: bool
    kept: str | None = None


GO_AHEAD = Guard(proceed=True)
NOTHING_TO_DO = Guard(proceed=False)


def questions(action: Action, facts: Facts) -> Iterable[Question]:
    """What must be known before `judge`."""
    match action:
        case DropIndex(definition=definition):
            yield _ask_for_indexes(action)
            if definition is not None and facts.knows(_ask_for_indexes(action)):
                if question := catalog.ask_to_normalize(definition):
                    yield question
                yield from catalog.ask_to_normalize_rows(definition, facts.rows(_ask_for_indexes(action), IndexRow))
        case SetSetting():
            yield from _laid_down(action).questions(facts)
        case SetRedisSetting():
            yield RedisSetting(action.name)
        case RunSql(only_if=str() as query):
            yield Holds(query)
        case _:
            return


def judge(action: Action, facts: Facts) -> Guard:
    match action:
        case DropIndex():
            return _judge_index(action, facts)
        case SetSetting():
            return _judge_setting(action, facts)
        case SetRedisSetting():
            return _judge_redis_setting(action, facts)
        case RunSql(only_if=str() as query):
            answer = facts[Holds(query)]
            if isinstance(answer, Failed):
                return Guard(proceed=False, kept=f"its verify query fails: {answer.reason}")
            return GO_AHEAD if answer else NOTHING_TO_DO
        case _:
            return GO_AHEAD


def _judge_index(action: DropIndex, facts: Facts) -> Guard:
    rows = facts.rows(_ask_for_indexes(action), IndexRow)
    row = next((row for row in rows if (row.schema, row.name) == (action.index.schema, action.index.name)), None)
    if row is None:
        return NOTHING_TO_DO
    if row.backs_constraint:
        return Guard(proceed=False, kept=f"a constraint depends on {action.index} by now")
    if action.oid is not None:
        made_anew = f"{action.index} was dropped and made anew by somebody else"
        return GO_AHEAD if row.oid == action.oid else Guard(proceed=False, kept=made_anew)
    if row.builder_pid is not None:
        return Guard(proceed=False, kept=f"backend {row.builder_pid} is still building {action.index}; try again later")
    if action.definition is not None and catalog.same(action.definition, row, facts):
        return GO_AHEAD
    return Guard(proceed=False, kept=f"{action.index} has another definition by now: {row.definition}")


def _judge_setting(action: SetSetting, facts: Facts) -> Guard:
    """Our own entry must still stand there; the prior one standing there already is nothing to do."""
    laid_down = _laid_down(action)
    entry = laid_down.entry(facts)
    if laid_down.is_entry(facts, action.expected):
        return GO_AHEAD
    if laid_down.is_entry(facts, action.value):
        return NOTHING_TO_DO
    return Guard(proceed=False, kept=f"{action.name} was changed since, to {entry or 'no entry'}")


def _judge_redis_setting(action: SetRedisSetting, facts: Facts) -> Guard:
    """As for PostgreSQL's: our own value must still stand there."""
    found = facts[RedisSetting(action.name)]
    if isinstance(found, Failed) or found is None:
        return Guard(proceed=False, kept=f"{action.name} cannot be read any more")
    if same(action.value, found):
        return NOTHING_TO_DO
    if action.expected is None or same(action.expected, found):
        return GO_AHEAD
    return Guard(proceed=False, kept=f"{action.name} was changed since, to {found}")


def _laid_down(action: SetSetting) -> Wanted:
    return Wanted(action.name, action.expected or "", action.scope, action.role)


def _ask_for_indexes(action: DropIndex) -> Catalog:
    return catalog.ask_for(quote(action.table.schema, action.table.name))
