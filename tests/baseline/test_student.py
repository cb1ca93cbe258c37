from __future__ import annotations

import math

import pytest

from dbtune.baseline.student import t_quantile, t_tail

# Two-sided 95 % and 99 % points as printed in NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
TABLE = [
    (1, 12.706, 63.657),
    (2, 4.303, 9.925),
    (5, 2.571, 4.032),
    (10, 2.228, 3.169),
    (30, 2.042, 2.750),
    (100, 1.984, 2.626),
]


@pytest.mark.parametrize(("df", "at_95", "at_99"), TABLE)
def test_quantiles_agree_with_the_printed_table(df: int, at_95: float, at_99: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(at_95, abs=6e-4)
    assert t_quantile(0.995, df) == pytest.approx(at_99, abs=6e-4)


def test_infinite_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert t_quantile(0.975, math.inf) == pytest.approx(1.959964, abs=1e-6)


def test_the_tail_undoes_the_quantile() -> None:
    for df in (1.0, 2.7, 9.0, 250.0):
        for probability in (0.001, 0.3, 0.5, 0.9, 0.9999):
            assert t_tail(t_quantile(probability, df), df) == pytest.approx(1 - probability, rel=1e-9)


def test_one_degree_of_freedom_is_the_cauchy_distribution() -> None:
    assert t_tail(3.0, 1) == pytest.approx(0.5 - math.atan(3) / math.pi, rel=1e-12)


def test_a_certain_probability_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(1.0, 5)
