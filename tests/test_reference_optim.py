"""Optimizer steps in NumPy against sequences worked out by hand, or by PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rot180.reference import adam_step, clip_grad_norm, ema_step, rmsprop_step, sgd_step


def run_adam(param, gradients, **options):
    """Every value that param takes, with m and v at the end."""
    param = np.array([param], np.float64)
    m, v, values = np.zeros(1), np.zeros(1), []
    for step, gradient in enumerate(gradients, 1):
        adam_step(param, np.array([gradient], np.float64), m, v, step=step, **options)
        values.append(param.item())
    return values, m.item(), v.item()


def run_sgd(gradients, **options):
    param, values = np.ones(1), []
    velocity = np.zeros(1) if options.get("momentum") else None
    for gradient in gradients:
        sgd_step(param, np.array([gradient]), velocity, lr=0.1, **options)
        values.append(param.item())
    return values


def test_adam_by_hand():
    """Two steps with numbers that divide well: b1 = 0.5, b2 = 0.75, g = 4, then -2.

    t = 1: m = 2, v = 4; corrected 2 / 0.5 = 4 and 4 / 0.25 = 16, of which the root is 4.
    t = 2: m = 0.5 * 2 - 0.5 * 2 = 0, and the parameter rests.
    t = 3: g = 6: m = 3, v = (0.75 * (0.75 * 4 + 0.25 * 4)) + 0.25 * 36 = 12, which are corrected by
    1 - 1/8 and 1 - 27/64: 24/7 and 768/37.
    """
    values, m, v = run_adam(10, [4, -2, 6], lr=0.5, betas=(0.5, 0.75), eps=1.0)
    assert (m, v) == (3, 12)
    assert values[0] == 10 - 0.5 * 4 / (4 + 1) == 9.6
    assert values[1] == 9.6
    assert values[2] == pytest.approx(9.6 - 0.5 * (24 / 7) / (math.sqrt(768 / 37) + 1), rel=1e-15)


def test_adam_with_its_defaults_by_hand():
    """With g = 0.5, then -1 with lr = 0.1: m = 0.05, -0.055; v = 0.00025, 0.00124975."""
    values, m, v = run_adam(1, [0.5, -1], lr=0.1)
    assert (m, v) == pytest.approx((-0.055, 0.00124975), rel=1e-12)
    assert values[0] == pytest.approx(1 - 0.1 * 0.5 / (0.5 + 1e-8), rel=1e-15)
    step = 0.1 * (-0.055 / 0.19) / (math.sqrt(0.00124975 / 0.001999) + 1e-8)
    assert values[1] == pytest.approx(values[0] - step, rel=1e-12)


@pytest.mark.parametrize("gradient", [1e-5, 3.0, -1e6])
def test_first_step_of_adam_is_lr_long(gradient):
    values, _, _ = run_adam(0, [gradient], lr=0.01, eps=1e-20)
    assert values[0] == pytest.approx(-math.copysign(0.01, gradient), rel=1e-12)


def test_eps_hat_by_hand():
    """With b1 = 0.5, b2 = 0.75, g = 4: m = 2, v = 4; 10 - 0.5 * sqrt(0.25) / 0.5 * 2 / (2 + 1)."""
    values, _, _ = run_adam(10, [4], lr=0.5, betas=(0.5, 0.75), eps=1.0, eps_hat=True)
    assert values[0] == pytest.approx(10 - 1 / 3, rel=1e-15)


def test_eps_hat_is_the_paper_with_another_eps():
    """At each step, eps_hat = eps * sqrt(1 - b2^t) makes the two the same."""
    rng = np.random.default_rng(0)
    paper, hat = np.ones(5), np.ones(5)
    m, v, m_hat, v_hat = (np.zeros(5) for _ in range(4))
    for step in range(1, 30):
        g = rng.normal(size=5)
        eps = 0.3
        adam_step(paper, g, m, v, step=step, lr=0.1, eps=eps)
        eps *= math.sqrt(1 - 0.999**step)
        adam_step(hat, g, m_hat, v_hat, step=step, lr=0.1, eps=eps, eps_hat=True)
        np.testing.assert_allclose(hat, paper, rtol=1e-13)
    assert abs(paper - 1).max() > 0.05


def test_weight_decay_of_adam_coupled_and_decoupled():
    """Coupled, the decay is normalised away at the first step; decoupled, it shrinks p by lr*wd."""
    options = {"lr": 0.5, "betas": (0.5, 0.75), "eps": 1.0, "weight_decay": 0.2}
    coupled, m, v = run_adam(10, [4], **options)
    assert (m, v) == (3, 9)  # g = 4 + 0.2 * 10 = 6
    assert coupled[0] == pytest.approx(10 - 0.5 * 6 / (6 + 1), rel=1e-15)
    decoupled, m, v = run_adam(10, [4], decoupled=True, **options)
    assert (m, v) == (2, 4)
    assert decoupled[0] == pytest.approx(10 * (1 - 0.5 * 0.2) - 0.5 * 4 / (4 + 1), rel=1e-15)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.95, 1.05, 0.85]),
        # v = 0.5, -0.55, 1.505
        ({"momentum": 0.9}, [0.95, 1.005, 0.8545]),
        # p -= 0.1 * (g + 0.9 v): 0.95, -1.495, 3.3545
        ({"momentum": 0.9, "nesterov": True}, [0.905, 1.0545, 0.71905]),
        # g = 0.6, -0.906, 2.10306
        ({"weight_decay": 0.1}, [0.94, 1.0306, 0.820294]),
        # p *= 0.99 before each step
        ({"weight_decay": 0.1, "decoupled": True}, [0.94, 1.0306, 0.820294]),
        # g = 0.6, -0.906, 2.09766; v = 0.6, -0.366, 1.76826
        ({"momentum": 0.9, "weight_decay": 0.1}, [0.94, 0.9766, 0.799774]),
        # v as without decay: 0.99 - 0.05; 0.9306 + 0.055; 0.975744 - 0.1505
        (
            {"momentum": 0.9, "weight_decay": 0.1, "decoupled": True},
            [0.94, 0.9856, 0.825244],
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_sgd_by_hand(options, expected):
    """As torch.optim.SGD, with lr = 0.1 from p = 1 with g = 0.5, -1, 2."""
    assert run_sgd([0.5, -1.0, 2.0], **options) == pytest.approx(expected, rel=1e-12)


def test_rmsprop_by_hand():
    """With alpha = 0.75, eps = 1, lr = 1 from p = 10: g = 4 makes v = 4, then g = -2 makes v = 4.

    Centered, m = 1, of which v - m*m is 3; then m = 0.75 - 0.5 = 0.25 and v = 4.
    """
    param, v = np.array([10.0]), np.zeros(1)
    for gradient, value in ((4.0, 10 - 4 / 3), (-2.0, 10 - 4 / 3 + 2 / 3)):
        rmsprop_step(param, np.array([gradient]), v, lr=1.0, alpha=0.75, eps=1.0)
        assert v.item() == 4
        assert param.item() == pytest.approx(value, rel=1e-15)
    param, v, m = np.array([10.0]), np.zeros(1), np.zeros(1)
    steps = ((4.0, 4 / (math.sqrt(3) + 1)), (-2.0, -2 / (math.sqrt(4 - 1 / 16) + 1)))
    for gradient, step in steps:
        before = param.item()
        rmsprop_step(param, np.array([gradient]), v, m, lr=1.0, alpha=0.75, eps=1.0, centered=True)
        assert param.item() == pytest.approx(before - step, rel=1e-15)
    assert m.item() == 0.25


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.9333333333333333, 1.029039718277513, 0.9044863879905523]),
        ({"momentum": 0.9}, [0.9333333333333333, 0.969039718277513, 0.8766221344403139]),
        ({"centered": True}, [0.9302169479251963, 1.0280664211064228, 0.8979730733439995]),
        (
            {"centered": True, "momentum": 0.9},
            [0.9302169479251962, 0.9652616742390993, 0.8667085801591887],
        ),
        ({"weight_decay": 0.1}, [0.925, 1.0137212814844325, 0.8859089849945825]),
        (
            {"weight_decay": 0.1, "momentum": 0.9, "centered": True},
            [0.9210326425650405, 0.9398209799187254, 0.8219382506080922],
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_rmsprop_as_pytorch_computes_it(options, expected):
    """torch.optim.RMSprop, lr = 0.1, alpha = 0.75, eps = 0.5, from p = 1 with g = 0.5, -1, 2."""
    param, v = np.ones(1), np.zeros(1)
    m = np.zeros(1) if "centered" in options else None
    velocity = np.zeros(1) if "momentum" in options else None
    for gradient, value in zip([0.5, -1.0, 2.0], expected, strict=True):
        grad = np.array([gradient])
        rmsprop_step(param, grad, v, m, velocity, lr=0.1, alpha=0.75, eps=0.5, **options)
        assert param.item() == pytest.approx(value, rel=1e-14)


def test_decoupled_decay_of_rmsprop_by_hand():
    """p = 10 * (1 - 0.5 * 0.2) - 0.5 * 4 / (2 + 1), the decay not in v."""
    param, v = np.array([10.0]), np.zeros(1)
    options = {"lr": 0.5, "alpha": 0.75, "eps": 1.0, "weight_decay": 0.2, "decoupled": True}
    rmsprop_step(param, np.array([4.0]), v, **options)
    assert v.item() == 4
    assert param.item() == pytest.approx(9 - 2 / 3, rel=1e-15)


def test_centered_rmsprop_takes_no_root_below_0():
    """Rounding may leave v a little below m*m where the gradient does not change."""
    param, v, m = np.ones(1), np.array([1.0 - 2**-50]), np.ones(1)
    rmsprop_step(param, np.ones(1), v, m, lr=0.5, alpha=0.5, eps=1.0, centered=True)
    assert param.item() == 0.5


def test_ema_by_hand():
    """0.75 * 0 + 0.25 * 8 = 2, then 0.75 * 2 + 0.25 * 4 = 2.5."""
    average = np.zeros(1)
    ema_step(average, np.array([8.0]), decay=0.75)
    assert average.item() == 2
    ema_step([average], [np.array([4.0])], decay=0.75)
    assert average.item() == 2.5


def test_clip_by_norm_by_hand():
    """The norm of 2, 3 and 6 is 7."""
    grads = [np.array([2.0, -3.0]), np.array([[6.0]], np.float32)]
    assert clip_grad_norm(grads, 7.0) == 7
    assert grads[0].tolist() == [2, -3]
    assert clip_grad_norm(grads, 3.5) == 7
    assert [g.ravel().tolist() for g in grads] == [[1, -1.5], [3]]
    assert grads[1].dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_several_tensors_in_one_call(dtype):
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 2, 4), (4,), (0,), (5, 2)]
    params, grads = ([rng.normal(size=s).astype(dtype) for s in shapes] for _ in range(2))
    alone = [p.copy() for p in params]
    m, v = ([np.zeros(s, dtype) for s in shapes] for _ in range(2))
    adam_step(params, grads, m, tuple(v), step=3, lr=0.1)
    sgd_step(params, grads, m, lr=0.1, momentum=0.9)
    for p, g in zip(alone, grads, strict=True):
        m1, v1 = np.zeros_like(p), np.zeros_like(p)
        adam_step(p, g, m1, v1, step=3, lr=0.1)
        sgd_step(p, g, m1, lr=0.1, momentum=0.9)
    for together, p in zip(params, alone, strict=True):
        assert together.dtype == dtype
        np.testing.assert_array_equal(together, p)


def test_steps_write_through_views_and_leave_the_gradient():
    whole = np.ones((4, 6))
    grad = np.full((6, 2), 2.0)[::-1].astype(">f8").T
    m, v = np.zeros((2, 6)), np.zeros((2, 6))
    adam_step(whole[:2], grad, m, v, step=1, lr=0.5, weight_decay=0.1)
    np.testing.assert_allclose(whole[:2], 0.5)
    assert (whole[2:] == 1).all()
    assert (grad == 2).all()
    sgd_step(whole[2:], grad, lr=0.25, weight_decay=0.1)
    assert (grad == 2).all()


def test_float32_stays_float32():
    param, grad = np.ones(3, np.float32), np.full(3, 0.1, np.float32)
    m, v = np.zeros(3, np.float32), np.zeros(3, np.float32)
    adam_step(param, grad, m, v, step=1, lr=np.float64(0.001))
    assert param.dtype == m.dtype == v.dtype == np.float32
    np.testing.assert_allclose(param, 0.999, rtol=1e-7)


P = np.ones(3)


def adam(param=P, grad=P, m=P, v=P, step=1, **options):
    adam_step(param, grad, m, v, step=step, **options)


def sgd(param=P, grad=P, velocity=None, lr=0.1, **options):
    sgd_step(param, grad, velocity, lr=lr, **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: adam(step=0), ValueError, "step"),
        (lambda: adam(step=1.0), TypeError, "step"),
        (lambda: adam(lr=-0.1), ValueError, "lr"),
        (lambda: adam(lr=np.nan), ValueError, "lr"),
        (lambda: adam(lr="fast"), TypeError, "lr"),
        (lambda: adam(eps=-1e-8), ValueError, "eps"),
        (lambda: adam(betas=(0.9, 1.0)), ValueError, r"betas\[1\]"),
        (lambda: adam(betas=(-0.1, 0.9)), ValueError, r"betas\[0\]"),
        (lambda: adam(betas=0.9), TypeError, "betas must be two numbers"),
        (lambda: adam(weight_decay=-1), ValueError, "weight_decay"),
        (lambda: adam(grad=np.ones(4)), ValueError, r"grad has shape \(4,\), expected \(3,\)"),
        (lambda: adam(m=np.zeros((3, 3))), ValueError, "m has shape"),
        (lambda: adam(v=np.zeros(3, np.float32)), TypeError, "v has dtype float32"),
        (
            lambda: adam(param=np.ones(3, int)),
            TypeError,
            "param is changed in place and has dtype int",
        ),
        (lambda: adam(param=[P, P]), ValueError, "grad has 1 arrays, expected 2"),
        (lambda: adam(param=[1.0]), TypeError, r"param\[0\] is changed in place.*float"),
        (lambda: adam(param=3.0), TypeError, "param must be an array or a sequence"),
        (lambda: adam(m=None), TypeError, "m must be an array or a sequence"),
        (lambda: adam(param=P.astype(">f8")), TypeError, "param is changed in place.*>f8"),
        (lambda: adam(param=np.broadcast_to(1.0, 3)), ValueError, "param is read-only"),
        (lambda: adam(v=np.broadcast_to(1.0, 3)), ValueError, "v is read-only"),
        (lambda: sgd(lr=np.inf), ValueError, "lr"),
        (lambda: sgd(momentum=-0.9), ValueError, "momentum"),
        (lambda: sgd(momentum=0.9), ValueError, "velocity is None"),
        (lambda: sgd(velocity=P), ValueError, "velocity is given with momentum=0"),
        (lambda: sgd(nesterov=True), ValueError, "nesterov"),
        (lambda: sgd(grad=P[:2]), ValueError, "grad has shape"),
        (lambda: sgd(velocity=P[:2], momentum=0.9), ValueError, "velocity has shape"),
    ],
)
def test_errors_name_the_argument_and_change_nothing(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert (P == 1).all()
