"""An HTTP endpoint, timed by one client."""

from __future__ import annotations

import time

from dbtune.core.errors import Unreachable, Unsupported
from dbtune.core.progress import Progress, silent

_TIMEOUT_S = 30.0
_WARM_UP = 3


def time_endpoint(
    url: str, *, repeat: int, name: str = "", progress: Progress = silent
) -> tuple[tuple[float, ...], int]:
    """Seconds of each GET that was answered with 2xx or 3xx, body included, and how many were not.

    Raises Unsupported without the extra `http`, Unreachable where nothing answers at all.
    """
    try:
        import httpx
    except ImportError as error:
        raise Unsupported("timing an HTTP endpoint needs httpx", hint="pip install 'dbtune[http]'") from error
    seconds, errors, last = [], 0, ""
    with httpx.Client(timeout=_TIMEOUT_S, headers={"user-agent": "dbtune"}) as client:
        for number in range(-_WARM_UP, repeat):
            start = time.perf_counter()
            try:
                response = client.get(url)
                last = f"status {response.status_code}"
                good = response.status_code < 400
            except httpx.HTTPError as error:
                good, last = False, str(error) or type(error).__name__
                if number < 0 and isinstance(error, httpx.ConnectError):
                    raise Unreachable(
                        f"nothing answers at {url}: {last}", hint="is the application running?"
                    ) from error
            if number >= 0 and good:
                seconds.append(time.perf_counter() - start)
            errors += number >= 0 and not good
            progress(f"timing {name}", max(number + 1, 0) / repeat)
    if not seconds:
        raise Unreachable(f"no request to {url} succeeded: {last}", hint="open it in a browser")
    return tuple(seconds), errors
