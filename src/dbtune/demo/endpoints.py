"""What the backend offers, each in the form it was found in and in the form that the findings suggest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from dbtune.demo import contents, courses, engagement, permissions, recommendations
from dbtune.demo.backend import Backend
from dbtune.demo.population import Population

Form = Literal["slow", "fast"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`request_for` draws a request, which `slow` and `fast` answer alike.

    `weight`: how often of `sum of weights` requests this is the one; 0 for what no user asks for.
    """

    name: str
    title: str
    slow: Callable[[Backend, Any], object]
    fast: Callable[[Backend, Any], object]
    request_for: Callable[[Population, Random], Any]
    weight: int = 0

    def form(self, form: Form) -> Callable[[Backend, Any], object]:
        return self.slow if form == "slow" else self.fast


CONTENT = Endpoint(
    "content", "Content by id", contents.content_slowly, contents.content, Population.content_id, weight=10
)
PERMISSIONS = Endpoint(
    "permissions",
    "A user's permissions",
    permissions.permissions_slowly,
    permissions.permissions,
    Population.bearer,
    weight=6,
)
RECOMMENDATIONS = Endpoint(
    "recommendations",
    "Recommendations for a user",
    recommendations.recommendations_slowly,
    recommendations.recommendations,
    Population.user_id,
    weight=3,
)
COURSE_STATUS = Endpoint(
    "course-status",
    "Course status",
    courses.course_status_slowly,
    courses.course_status,
    Population.enrolment,
    weight=1,
)
ENDPOINTS = (CONTENT, PERMISSIONS, RECOMMENDATIONS, COURSE_STATUS)
"""What users ask for, and so what traffic is made of."""

SCORE_UPDATE = Endpoint(
    "score-update",
    "Engagement scores of 1000 contents",
    engagement.update_scores_slowly,
    engagement.update_scores,
    Population.batch,
)


def _query(backend: Backend, user_id: int) -> object:
    return recommendations.candidates(backend.database, user_id)


RECOMMENDATION_QUERY = Endpoint("recommendation-query", "The recommendation query", _query, _query, Population.user_id)
"""The same statement in both forms: an index is all that it lacks."""
PROBES = (RECOMMENDATION_QUERY, SCORE_UPDATE, COURSE_STATUS)
"""What is measured by itself, because it is too heavy or too rare for traffic to show."""
