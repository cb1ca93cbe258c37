"""Requests with httpx, where k6 is not installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbtune.core.errors import Unsupported
from dbtune.servers.load.threads import FailedCall

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 60.0
"""k6's own: a request that takes longer has failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """`status`: the answer that is right; None: every one below 400."""

    name: str
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: str | None = None
    status: int | None = None
    weight: int = 1


class HttpWorker:
    """One client with its own connections, kept open between requests."""

    def __init__(self, requests: Sequence[Request]) -> None:
        import httpx

        self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)
        self.calls: Sequence[Callable[[], object]] = tuple(self._call(request) for request in requests)

    def _call(self, request: Request) -> Callable[[], object]:
        # Built anew each time costs more than the sending; httpx reuses one that was built.
        content = request.body.encode() if request.body is not None else None
        built = self._client.build_request(request.method, request.url, headers=dict(request.headers), content=content)

        def call() -> None:
            check(self._client.send(built), request.status)

        return call

    def close(self) -> None:
        self._client.close()


def check(response: httpx.Response, status: int | None) -> None:
    """Raises FailedCall for an answer with another status than the one that is right."""
    right = response.status_code < 400 if status is None else response.status_code == status
    if not right:
        raise FailedCall(f"status {response.status_code}")


def http_worker(requests: Sequence[Request]) -> HttpWorker:
    """Raises Unsupported where httpx is not installed."""
    try:
        return HttpWorker(requests)
    except ImportError as error:
        raise Unsupported(
            "neither k6 nor httpx is installed, one of which requests the endpoints",
            hint='pip install "dbtune[http]", or install k6 (https://k6.io)',
        ) from error
