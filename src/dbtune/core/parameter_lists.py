"""Parameters whose value is a list of names, `"$user", public`, as the server reads it."""

from __future__ import annotations

import re

LISTS = (
    "search_path",
    "shared_preload_libraries",
    "session_preload_libraries",
    "local_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
"""GUC_LIST_QUOTE in PostgreSQL's source: quoting such a value as one string would make one strange name of it."""

_NAME = re.compile(r"""\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^,]*))\s*(?:,|$)""")


def split_list(value: str) -> tuple[str, ...]:
    """`'"$user", "A, b",public'` → ("$user", "A, b", "public"): quotes protect commas."""
    names: list[str] = []
    position = 0
    while position < len(value):
        match = _NAME.match(value, position)
        if match is None or match.end() == position:
            return (*names, value[position:])
        double, single, bare = match.groups()
        if double is not None:
            names.append(double.replace('""', '"'))
        elif single is not None:
            names.append(single.replace("''", "'"))
        else:
            names.append(bare.strip())
        position = match.end()
    return tuple(names)
