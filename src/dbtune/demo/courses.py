"""How far a user got in a course: each lesson with its progress and what happened there."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.demo.backend import Backend
from dbtune.demo.database import Database, Document

_COURSE = "select id, title from contents where id = %s and kind = 'course'"
_LESSONS = "select id, title, position from contents where parent_id = %s order by position"
_TRACKING = "select id, status, progress from content_tracking where user_id = %s and content_id = %s"
_DETAILS = "select event, position_s from content_tracking_details where tracking_id = %s order by created_at, id"

_STATUS = """
select lesson.id, lesson.title, lesson.position, tracking.status, tracking.progress,
  coalesce((select json_agg(json_build_object('event', d.event, 'position_s', d.position_s) order by d.created_at, d.id)
            from content_tracking_details d where d.tracking_id = tracking.id), '[]') as details
from contents lesson
left join content_tracking tracking on tracking.content_id = lesson.id and tracking.user_id = %s
where lesson.parent_id = %s order by lesson.position"""


@dataclass(frozen=True, slots=True)
class Enrolment:
    user_id: int
    course_id: int


def course_status_slowly(backend: Backend, enrolment: Enrolment) -> Document | None:
    """Two statements a lesson, and two more."""
    course = backend.database.row(_COURSE, enrolment.course_id)
    if course is None:
        return None
    lessons = [
        {**lesson, **_progress(backend.database, enrolment.user_id, lesson["id"])}
        for lesson in backend.database.rows(_LESSONS, enrolment.course_id)
    ]
    return {**course, "lessons": lessons}


def course_status(backend: Backend, enrolment: Enrolment) -> Document | None:
    """Two statements. Not cached: who learns wants to see the step just taken."""
    course = backend.database.row(_COURSE, enrolment.course_id)
    return course and {**course, "lessons": backend.database.rows(_STATUS, enrolment.user_id, enrolment.course_id)}


def _progress(database: Database, user_id: int, content_id: int) -> Document:
    tracking = database.row(_TRACKING, user_id, content_id)
    if tracking is None:
        return {"status": None, "progress": None, "details": []}
    details = database.rows(_DETAILS, tracking["id"])
    return {"status": tracking["status"], "progress": tracking["progress"], "details": details}
