"""Whether a statement, executed only to be measured, would reach beyond the transaction that is rolled back.

A transaction takes back what was written. It does not take back a signal to a backend, a file, a statement on another
server. The names of the functions come from the statement, from the server's own printing of its plan, and from the
bodies of the functions that these call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dbtune.core.query_text import bare_query

HARMLESS = frozenset((
    "array_sample", "array_shuffle", "clock_timestamp", "crypt", "currval", "gen_random_bytes", "gen_random_uuid",
    "gen_salt", "lastval", "nextval", "pg_buffercache_pages", "pg_column_compression", "pg_current_wal_lsn",
    "pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_database_size", "pg_get_replication_slots",
    "pg_indexes_size", "pg_is_in_recovery", "pg_is_wal_replay_paused", "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp", "pg_lock_status", "pg_notify", "pg_relation_size",
    "pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_stat_statements", "pg_stat_statements_info", "pg_table_size",
    "pg_tablespace_size", "pg_timezone_names", "pg_total_relation_size", "random", "random_normal", "set_config",
    "setseed", "timeofday", "txid_current", "txid_current_if_assigned", "unique_key_recheck", "uuid_generate_v1",
    "uuid_generate_v1mc", "uuid_generate_v4", "uuidv4", "uuidv7",
))  # fmt: skip
"""Volatile functions of PostgreSQL and its contrib modules that change nothing outside the transaction."""
_READABLE = ("sql", "plpgsql")
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_CALL = re.compile(r'"((?:[^"]|"")+)"\s*\(|([A-Za-z_\x80-\U0010ffff][\w$]*)\s*\(')
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_CHANGE = re.compile(
    r"\b(?:insert\s+into|update(?:\s+only)?|delete\s+from(?:\s+only)?|merge\s+into)\s+"
    r'((?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?)',
    re.IGNORECASE,
)
_UNKNOWABLE = re.compile(
    r"\b(execute|copy|call|do)\b(?!\s+(?:function|procedure|nothing|update|instead|also)\b)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Callee:
    """A function that is volatile or whose body may call one, or a foreign table (`language` None).

    `definition` is its CREATE statement.
    """

    name: str
    schema: str
    language: str | None
    definition: str | None

    @property
    def is_open(self) -> bool:
        """Whether its body can be read."""
        return self.language in _READABLE and self.definition is not None


def only_reads(statement: str) -> bool:
    """Whether a statement begins as a query and makes no table of its rows.

    EXPLAIN ANALYZE of CREATE TABLE AS and SELECT INTO makes the table even in a read-only transaction, and their plan
    does not show it. Data-changing CTEs do show, and are not looked for here.
    """
    from sqlparse import lexer, tokens

    try:
        bare_query(statement)
    except ValueError:
        return False
    pieces = lexer.tokenize(statement)  # type: ignore[no-untyped-call]
    return not any(kind in tokens.Keyword and value.upper() == "INTO" for kind, value in pieces)


def called_names(texts: Iterable[str]) -> frozenset[str]:
    """Every name before a parenthesis, as the catalog has it, and every operator.

    Words of SQL are among them; they name no function.
    """
    bare = [_COMMENT.sub(" ", text) for text in texts]
    found = (match for text in bare for match in _CALL.finditer(text))
    names = {match[1].replace('""', '"') if match[1] is not None else match[2].lower() for match in found}
    return frozenset(names.union(*map(_OPERATOR.findall, bare)))


def changed_tables(text: str) -> frozenset[str]:
    """Tables that a function's body writes to, as they are named there."""
    return frozenset(match[1] for match in _CHANGE.finditer(_COMMENT.sub(" ", text)))


def reaches_outside(callee: Callee) -> str | None:
    """Why it may, in words; None where it cannot. What an open function calls is judged on its own."""
    if callee.language is None:
        return f"{callee.name} is a foreign table: another server is written to"
    if callee.is_open:
        found = _UNKNOWABLE.search(_COMMENT.sub(" ", _body(callee.definition or "")))
        return f"{callee.name}() does what cannot be told beforehand ({found[1].upper()})" if found else None
    if callee.language in ("internal", "c") and callee.name in HARMLESS:
        return None
    return f"{callee.name}() may reach outside of the transaction"


def _body(definition: str) -> str:
    """Without the header, where EXECUTE is no statement."""
    found = re.search(r"\n(?:AS|BEGIN ATOMIC|RETURN)\b", definition)
    return definition[found.start() :] if found else definition
