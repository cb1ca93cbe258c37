"""The job that gives contents the score of their interactions, one batch after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbtune.demo.backend import Backend

_PAGE = 50

_SCORES = """
select content_id, sum(weight) as score from user_interactions
where content_id = any(%s::bigint[]) group by content_id"""

_SET_ONE = "update contents set engagement_score = %s where id = %s"

_SET_ALL = """
update contents set engagement_score = scored.score
from (select batch.id, coalesce(sum(i.weight), 0) as score
      from unnest(%s::bigint[]) batch (id) left join user_interactions i on i.content_id = batch.id
      group by batch.id) scored
where contents.id = scored.id"""


def update_scores_slowly(backend: Backend, content_ids: Sequence[int]) -> int:
    """Reads the scores page by page, and writes them content by content; the number of contents written."""
    changed = 0
    for page in _pages(content_ids):
        scores = {row["content_id"]: row["score"] for row in backend.database.rows(_SCORES, page)}
        changed += sum(backend.database.change(_SET_ONE, scores.get(content_id, 0), content_id) for content_id in page)
    return changed


def update_scores(backend: Backend, content_ids: Sequence[int]) -> int:
    """One statement; the number of contents written."""
    return backend.database.change(_SET_ALL, list(content_ids))


def _pages(content_ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(content_ids), _PAGE):
        yield list(content_ids[start : start + _PAGE])
