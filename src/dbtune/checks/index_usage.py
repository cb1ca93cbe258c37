"""The row that the checks about single indexes share, and how two of them compare."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.core.identifiers import quote

REVERSED = 3
"""Both bits of pg_index.indoption: (a desc nulls first) read backwards is (a asc nulls last)."""


@dataclass(frozen=True, slots=True)
class IndexUsage:
    """One user index. `scans` is idx_scan since the statistics began.

    `columns`, `options`, `opclasses`, `collations` are pg_index's vectors as text; `expressions` and `predicate` its
    trees without positions, good for comparing only. A partitioned one's size and scans are those of all its parts;
    the parts have rows of their own only when they are not `usable`. `constraint_name` is that of the key or exclusion
    that it serves, `is_referenced` by a foreign key.
    """

    oid: int
    table_oid: int
    schema: str
    name: str
    table: str
    is_partitioned: bool
    method: str
    key_count: int
    columns: str
    options: str
    opclasses: str
    collations: str
    expressions: str | None
    predicate: str | None
    definition: str
    is_unique: bool
    nulls_not_distinct: bool
    is_replica_identity: bool
    constraint_name: str | None
    is_referenced: bool
    usable: bool
    being_built: bool
    size_bytes: int
    scans: int

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def guards_data(self) -> bool:
        """It is needed whether anybody reads it or not."""
        return self.is_unique or self.constraint_name is not None or self.is_referenced or self.is_replica_identity

    @property
    def drop(self) -> str:
        """A statement a person may run. Partitioned indexes cannot be dropped CONCURRENTLY."""
        if self.constraint_name is not None:
            return f"alter table {quote(self.schema, self.table)} drop constraint {quote(self.constraint_name)};"
        how = "" if self.is_partitioned else "concurrently "
        return f"drop index {how}{quote(self.schema, self.name)};"

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Attribute numbers in order; "0" is an expression."""
        return tuple(self.columns.split()[: self.key_count])

    @property
    def included(self) -> frozenset[str]:
        return frozenset(self.columns.split()[self.key_count :])

    def keys(self, *, backwards: bool = False) -> tuple[tuple[str, str, str, int], ...]:
        """Column, opclass, collation and order of each key."""
        turned = REVERSED if backwards else 0
        return tuple(
            (column, opclass, collation, int(option) ^ turned)
            for column, opclass, collation, option in zip(
                self.key_columns, self.opclasses.split(), self.collations.split(), self.options.split(), strict=True
            )
        )


def begins_with(longer: IndexUsage, shorter: IndexUsage) -> bool:
    """Whether `longer` starts with all keys of `shorter`, read in either direction, over the same rows.

    The same opclass, collation and predicate are asked for; what `shorter` INCLUDEs must be in `longer` somewhere.
    """
    if longer.predicate != shorter.predicate or not _begin_alike(longer.expressions, shorter.expressions):
        return False
    wanted = shorter.keys()
    directions = (False, True) if shorter.method == "btree" else (False,)
    return shorter.included <= frozenset(longer.columns.split()) and any(
        longer.keys(backwards=backwards)[: len(wanted)] == wanted for backwards in directions
    )


def _begin_alike(longer: str | None, shorter: str | None) -> bool:
    """Trees are printed as `({…} {…})`: those of the shorter one must be the first of the longer one."""
    if shorter is None:
        return True
    return longer is not None and (longer == shorter or longer.startswith(shorter[:-1] + " "))
