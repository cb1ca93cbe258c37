"""A k6 script made from endpoints and stages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dbtune.load.model import Endpoint
from dbtune.load.stages import Segment

_SCRIPT = """\
import http from 'k6/http';

const endpoints = %(endpoints)s;
const total = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);
for (const endpoint of endpoints) {
  endpoint.params.responseCallback = endpoint.status === null
    ? http.expectedStatuses({min: 100, max: 399}) : http.expectedStatuses(endpoint.status);
}

export const options = %(options)s;

export default function () {
  let place = Math.random() * total;
  const chosen = endpoints.find((endpoint) => (place -= endpoint.weight) < 0) || endpoints[0];
  http.request(chosen.method, chosen.url, chosen.body, chosen.params);
}
"""


def k6_script(endpoints: Mapping[str, Endpoint], parts: Sequence[Segment]) -> str:
    """JavaScript that requests `endpoints` by weight in these stretches. Values go in as JSON, never as code.

    Raises ValueError where some stages have a rate and some have none: k6 does one or the other.
    """
    rates = {part.rate is not None for part in parts}
    if len(rates) > 1:
        raise ValueError("k6 runs all stages with a rate or none: give each stage a rate, or make two loads")
    described = [
        {
            "method": endpoint.method,
            "url": endpoint.url,
            "body": endpoint.body,
            "status": endpoint.status,
            "weight": endpoint.weight,
            "params": {"headers": endpoint.headers, "tags": {"name": name}, "redirects": 0},
        }
        for name, endpoint in endpoints.items()
    ]
    scenario = _arrivals(parts) if rates == {True} else _clients(parts)
    options = {
        "scenarios": {"load": scenario},
        "discardResponseBodies": True,
        # All others would be written beside each of a dozen measurements of each request, for nobody.
        "systemTags": ["name", "status", "error", "expected_response"],
    }
    return _SCRIPT % {"endpoints": json.dumps(described, indent=2), "options": json.dumps(options, indent=2)}


def k6_segment(worker: int, workers: int) -> tuple[str, ...]:
    """k6's own options for worker 1 … n of n of a script that brings its stages along."""
    edges = ["0", *(f"{edge}/{workers}" for edge in range(1, workers)), "1"]
    return (
        f"--execution-segment={edges[worker - 1]}:{edges[worker]}",
        f"--execution-segment-sequence={','.join(edges)}",
    )


def _clients(parts: Sequence[Segment]) -> dict[str, Any]:
    return {
        "executor": "ramping-vus",
        "startVUs": parts[0].clients,
        "stages": [
            # A stage of no duration jumps to its level, the next one holds it.
            stage
            for part in parts
            for stage in ({"duration": "0s", "target": part.clients}, {"duration": _ms(part), "target": part.clients})
        ],
        "gracefulRampDown": "30s",
        "gracefulStop": "30s",
    }


def _arrivals(parts: Sequence[Segment]) -> dict[str, Any]:
    # k6 counts whole requests in a unit of time: in an hour there are enough for any rate.
    per_hour = [max(round((part.rate or 0.0) * 3600), 1) if part.clients else 0 for part in parts]
    most = max(1, *(part.clients for part in parts))
    return {
        "executor": "ramping-arrival-rate",
        "startRate": per_hour[0],
        "timeUnit": "1h",
        "preAllocatedVUs": most,
        "maxVUs": most,
        "stages": [
            stage
            for part, rate in zip(parts, per_hour, strict=True)
            for stage in ({"duration": "0s", "target": rate}, {"duration": _ms(part), "target": rate})
        ],
        "gracefulStop": "30s",
    }


def _ms(part: Segment) -> str:
    return f"{max(round(part.duration_s * 1000), 1)}ms"
