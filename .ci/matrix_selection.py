"""A pytest plugin for the matrix: with `--needs FIXTURE` only the tests remain that use that server."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--needs", help="keep the tests that use this fixture, directly or not")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needed = config.getoption("--needs")
    if not needed:
        return
    kept = [item for item in items if needed in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
