"""Student's t distribution without scipy.

The cumulative distribution is a regularised incomplete beta function (DLMF 8.17(v), https://dlmf.nist.gov/8.17:
the continued fraction 8.17.22, evaluated by Lentz's method as modified by Thompson and Barnett, J. Comput. Phys. 64
(1986) 490); the quantile inverts it by Newton's method within a bracket.
"""

from __future__ import annotations

import math

_TINY = 1e-300
_ENOUGH = 1e-15


def t_tail(t: float, df: float) -> float:
    """P(T > t) for `df` > 0 degrees of freedom; infinite `df` is the normal distribution."""
    if math.isinf(df) or df > 1e8:
        return 0.5 * math.erfc(t / math.sqrt(2))
    tail = 0.5 * _incomplete_beta(df / (df + t * t), df / 2, 0.5)
    return tail if t >= 0 else 1 - tail


def t_quantile(probability: float, df: float) -> float:
    """The t with P(T <= t) = `probability`. Raises ValueError outside (0, 1) or for `df` <= 0."""
    if not 0 < probability < 1 or df <= 0:
        raise ValueError(f"no quantile for probability {probability} and {df} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1 - probability, df)
    tail = 1 - probability
    low, high = 0.0, 1.0
    while t_tail(high, df) > tail:
        low, high = high, high * 2
    guess = (low + high) / 2
    for _ in range(200):
        excess = t_tail(guess, df) - tail
        low, high = (guess, high) if excess > 0 else (low, guess)
        # Newton's step, or the middle where that would leave the bracket.
        step = guess + excess / _density(guess, df)
        following = step if low < step < high else (low + high) / 2
        if abs(following - guess) <= 1e-14 * high:
            break
        guess = following
    return guess


def _density(t: float, df: float) -> float:
    if math.isinf(df) or df > 1e8:
        return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The fraction converges quickly on one side of the mean only; the other side is its mirror image (8.17.4).
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """1 / (1 + d1 / (1 + d2 / (1 + ...))) with the coefficients of 8.17.23."""
    value, c, d = 1.0, 1.0, 0.0
    for n in range(1, 2000):
        m = n // 2
        if n % 2:
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _not_zero(1 + coefficient * d)
        c = _not_zero(1 + coefficient / c)
        value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return 1 / value


def _not_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
