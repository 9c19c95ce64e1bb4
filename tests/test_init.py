"""Initial weights: variance, bounds, seeds, dtypes, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rot180 import init

ALL = [init.he_normal, init.he_uniform, init.xavier_normal, init.xavier_uniform]

# fan_in = 3 * 5 * 20 and fan_out = 3 * 5 * 40 for (KH, KW, C // groups, K); C and K for (C, K).
SHAPES = {(3, 5, 20, 40): (300, 600), (150, 100): (150, 100)}


def expected_variance(draw, fan_in, fan_out):
    return 2 / fan_in if draw in (init.he_normal, init.he_uniform) else 2 / (fan_in + fan_out)


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("shape", SHAPES)
def test_mean_and_variance(draw, shape):
    w = draw(shape, rng=np.random.default_rng(0), dtype=np.float64)
    variance = expected_variance(draw, *SHAPES[shape])
    # Six standard errors: the mean's is sqrt(var / n), the variance's at most var * sqrt(2 / n).
    assert abs(w.mean()) < 6 * math.sqrt(variance / w.size)
    assert abs(w.var() - variance) < 6 * variance * math.sqrt(2 / w.size)


@pytest.mark.parametrize("draw", [init.he_uniform, init.xavier_uniform])
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_fills_its_bounds(draw, shape):
    w = draw(shape, rng=np.random.default_rng(0), dtype=np.float64)
    bound = math.sqrt(3 * expected_variance(draw, *SHAPES[shape]))
    assert abs(w).max() <= bound
    assert w.max() > 0.999 * bound
    assert w.min() < -0.999 * bound


@pytest.mark.parametrize("draw", [init.he_normal, init.xavier_normal])
def test_normal_has_tails(draw):
    shape = (150, 100)
    w = draw(shape, rng=np.random.default_rng(0), dtype=np.float64)
    deviations = abs(w) / math.sqrt(expected_variance(draw, *SHAPES[shape]))
    assert 0.0020 < np.mean(deviations > 3) < 0.0034  # 0.0027


@pytest.mark.parametrize("draw", ALL)
def test_seed_and_dtype(draw):
    w32 = draw((4, 3), rng=np.random.default_rng(7))
    w64 = draw((4, 3), rng=np.random.default_rng(7), dtype=np.float64)
    assert (w32.dtype, w64.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(w32, w64.astype(np.float32))
    assert (w32 != draw((4, 3), rng=np.random.default_rng(8))).all()


@pytest.mark.parametrize("draw", ALL)
def test_errors(draw):
    rng = np.random.default_rng(0)
    for shape in [(3,), (3, 3, 2), (3, 0), (0, 3, 2, 4)]:
        with pytest.raises(ValueError, match=r"expected \(KH, KW, C // groups, K\) or \(C, K\)"):
            draw(shape, rng=rng)
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got 'float16'"):
        draw((3, 3), rng=rng, dtype="float16")
    with pytest.raises(TypeError, match=r"pass numpy\.random\.default_rng\(seed\)"):
        draw((3, 3), rng=np.random.RandomState(0))
