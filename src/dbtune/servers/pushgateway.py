"""Metrics handed to a Prometheus Pushgateway, for runs that are too short to be scraped."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, pushadd_to_gateway

from dbtune.core.errors import Unreachable

TIMEOUT_S = 10.0
JOB = "dbtune_warm"


def push(url: str, playbook: str, registry: CollectorRegistry) -> None:
    """Adds to what the group `job, playbook` has there: the same group in every run. Raises Unreachable."""
    try:
        pushadd_to_gateway(url, job=JOB, registry=registry, grouping_key={"playbook": playbook}, timeout=TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise Unreachable(f"the Pushgateway {url} did not take the metrics: {error}") from error
