"""A content by its id, with its tags. Cache-aside from the start; but nothing fills the cache ahead of the readers."""

from __future__ import annotations

from dbtune.demo.backend import Backend
from dbtune.demo.database import Database, Document

_CONTENT = """
select id, title, slug, summary, kind, engagement_score::float8 as engagement_score
from contents where id = %s and status = 'published' and deleted_at is null"""

TAGS = """
select t.name from content_tags ct join tags t on t.id = ct.tag_id where ct.content_id = %s order by t.name"""

_CONTENT_WITH_TAGS = """
select c.id, c.title, c.slug, c.summary, c.kind, c.engagement_score::float8 as engagement_score,
       array(select t.name from content_tags ct join tags t on t.id = ct.tag_id
             where ct.content_id = c.id order by t.name) as tags
from contents c where c.id = %s and c.status = 'published' and c.deleted_at is null"""


def content_slowly(backend: Backend, content_id: int) -> Document | None:
    """Two statements when the cache has nothing."""

    def load() -> Document | None:
        content = backend.database.row(_CONTENT, content_id)
        return content and {**content, "tags": tags_of(backend.database, content_id)}

    return backend.cache.aside(_key(content_id), load)


def content(backend: Backend, content_id: int) -> Document | None:
    """One statement when the cache has nothing."""
    return backend.cache.aside(_key(content_id), lambda: backend.database.row(_CONTENT_WITH_TAGS, content_id))


def tags_of(database: Database, content_id: int) -> list[str]:
    return [tag["name"] for tag in database.rows(TAGS, content_id)]


def _key(content_id: int) -> str:
    return f"rec:content:{content_id}:full"
