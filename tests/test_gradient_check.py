"""rot180.gradcheck: right gradients pass, and wrong ones are named with their entry."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from rot180 import gradcheck, reference
from test_layers_gradients import CASES


@pytest.fixture
def rng():
    return np.random.default_rng(180)


@pytest.mark.parametrize("name", CASES)
def test_every_layer_passes(name, rng):
    make, shape = CASES[name]
    result = gradcheck(make(rng), rng.normal(size=(2, *shape)), entries=20)
    assert result
    assert result.checks[0].name == "dx"
    for check in result.checks:
        assert check.checked == min(20, check.size)
        assert not check.kinks


@pytest.mark.parametrize("loss", [rot180.losses.CrossEntropy(label_smoothing=0.1)])
def test_a_loss_with_labels(loss, rng):
    (check,) = gradcheck(loss, rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])).checks
    assert (check.name, check.checked) == ("dprediction", 20)


def test_a_float32_model_is_checked_in_float64_and_stays_as_it_was(rng):
    model = rot180.models.lenet5()
    model.parameters()[0].grad = np.ones_like(model.parameters()[0].value)
    before = [p.value.copy() for p in model.parameters()]
    result = gradcheck(model, rng.normal(size=(2, 28, 28, 1)).astype(np.float32), entries=8)
    assert max(check.error for check in result.checks) < 1e-6
    assert len(result.checks) == 1 + len(before)
    assert model.parameters()[0].grad.min() == 1
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert parameter.value.dtype == np.float32
        np.testing.assert_array_equal(parameter.value, value)


def test_dropout_drops_the_same_in_every_forward(rng):
    model = rot180.Sequential([rot180.Linear(4, 6), rot180.Dropout(0.5), rot180.Linear(6, 2)])
    assert gradcheck(model, rng.normal(size=(3, 4)))


class Conv:
    """A convolution as a person might write it, with params and grads in dicts."""

    def __init__(self, rng, turned=True, factor=1.0, bias=lambda dy: dy.sum((0, 1, 2))):
        self.params = {"w": rng.normal(size=(3, 2, 2, 4)), "b": rng.normal(size=4)}
        self.turned, self.factor, self.bias = turned, factor, bias

    def forward(self, x):
        self.x = x
        return reference.conv2d(x, self.params["w"], self.params["b"], padding=1)

    def backward(self, dy):
        w = self.params["w"]
        dw = reference.conv2d_grad_weight(self.x, dy, (3, 2), padding=1)
        dw[2, 1, 0, 3] *= self.factor
        self.grads = {"w": dw, "b": self.bias(dy)}
        w = w if self.turned else w[::-1, ::-1].copy()
        return reference.conv2d_grad_input(dy, w, self.x.shape, padding=1)


def test_params_and_grads_in_dicts(rng):
    result = gradcheck(Conv(rng), rng.normal(size=(2, 5, 4, 2)))
    assert [check.name for check in result.checks] == ["dx", "w", "b"]
    assert result.checks[1].checked == 48


def test_losses_whose_backward_takes_a_gradient(rng):
    class Loss:
        def forward(self, prediction, target, *, training=False):
            assert training
            self.difference = prediction - target
            return float((self.difference**2).sum())

        def backward(self, dloss=1.0):
            return 2 * dloss * self.difference

    class Scaled(Loss):
        def backward(self, dloss):
            return super().backward(dloss)

    for loss in (Loss(), Scaled()):
        assert gradcheck(loss, rng.normal(size=(2, 3)), np.arange(6).reshape(2, 3))


def test_params_and_grads_in_lists(rng):
    class Scale:
        def __init__(self):
            self.params = [np.array([2.0, 3.0])]

        def forward(self, x):
            self.x = x
            return x * self.params[0]

        def backward(self, dy):
            self.grads = [(dy * self.x).sum(0)]
            return dy * self.params[0]

    result = gradcheck(Scale(), rng.normal(size=(3, 2)))
    assert [check.name for check in result.checks] == ["dx", "params[0]"]


def test_parameters_and_gradients_as_attributes(rng):
    class Dense:
        def __init__(self, of=lambda dw: dw):
            self.W, self.b, self.of = rng.normal(size=(4, 3)), rng.normal(size=3), of

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            self.dW, self.db = self.of(self.x.T @ dout), dout.sum(0)
            return dout @ self.W.T

    x = rng.normal(size=(5, 4))
    assert [check.name for check in gradcheck(Dense(), x).checks] == ["dx", "W", "b"]
    with pytest.raises(AssertionError, match=r"W\[0, 0\]: expected .*, got"):
        gradcheck(Dense(lambda dw: dw / 5), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"turned": False}, r"dx\[0, 0, 0, 0\]: expected -?\d.*, got .*; \d+ of 80 entries"),
        (
            {"factor": 1 + 3e-6},
            r"w\[2, 1, 0, 3\]: expected .*, got .*; 1 of 48 entries compared are wrong",
        ),
        ({"bias": lambda dy: dy.mean((0, 1, 2))}, r"b\[0\]: expected .*; 4 of 4 entries"),
        ({"bias": lambda dy: dy.sum()}, r"b: the gradient has shape \(\), expected \(4,\)"),
        ({"bias": lambda dy: dy.sum((0, 1, 2)) * np.nan}, r"b\[0\]: expected .*, got nan"),
        ({"bias": lambda dy: np.zeros(4)}, r"b\[0\]: expected .*, got 0; 4 of 4"),
        ({"bias": lambda dy: "none"}, r"b: the gradient is no array of numbers"),
        ({"bias": lambda dy: None}, r"b: the gradient is None"),
    ],
)
def test_a_wrong_gradient_is_named(options, message, rng):
    x = rng.normal(size=(2, 5, 4, 2))
    with pytest.raises(AssertionError, match=message) as raised:
        gradcheck(Conv(rng, **options), x)
    result = raised.value.result
    assert not result
    assert sum(not check.right for check in result.checks) == 1
    assert not gradcheck(Conv(rng, **options), x, raise_exception=False)


def test_an_error_of_less_than_the_tolerance_passes(rng):
    conv, x = Conv(rng, factor=1 + 3e-6), rng.normal(size=(2, 5, 4, 2))
    assert gradcheck(conv, x, tolerance=1e-5)


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda x, w, dy: (dy @ w.T, x.T @ dy), None),
        (lambda dy, a, b: (dy @ b.T, a.T @ dy), None),
        (lambda a, b, c: (a @ c.T, b.T @ a), None),
        (lambda x, w, dy: (dy @ w.T, None), None),
        (lambda x, w, dy: [dy @ w.T, x.T @ dy / 3], r"dw\[0, 0\]"),
        (lambda x, w, dy: (dy @ w.T, x.T @ dy, dy), "returns 3 gradients"),
        (lambda x, w, dy: None, "no gradient to check"),
    ],
)
def test_two_functions(backward, message, rng):
    given = (lambda x, w: x @ w, backward), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    if message is None:
        assert gradcheck(*given)
    else:
        with pytest.raises((AssertionError, ValueError, TypeError), match=message):
            gradcheck(*given)


def test_a_layer_that_returns_the_gradients_of_its_parameters_too(rng):
    class Dense:
        def __init__(self):
            self.W = rng.normal(size=(4, 3))

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dy):
            self.dW = self.x.T @ dy
            return dy @ self.W.T, self.dW

    with pytest.raises(ValueError, match=r"returns 2 gradients, and there are 1 .* dw beside w"):
        gradcheck(Dense(), rng.normal(size=(5, 4)))


def test_a_layer_whose_return_was_forgotten(rng):
    class Forgetful(Conv):
        def backward(self, dy):
            super().backward(dy)

    with pytest.raises(AssertionError, match="dx: the gradient is None"):
        gradcheck(Forgetful(rng), rng.normal(size=(2, 5, 4, 2)))


def test_what_shows_nothing_is_refused():
    with pytest.raises(AssertionError, match="dx: it is empty, which shows nothing"):
        gradcheck(rot180.ReLU(), np.ones((0, 3)))
    double = (lambda x: 2 * x), (lambda dy, x: 2 * dy)
    with pytest.raises(TypeError, match="ndarray of dtype int64, expected floats: are the inputs"):
        gradcheck(double, np.ones((2, 3), dtype=np.int64))


def test_gradients_that_are_all_zero_are_refused():
    with pytest.raises(AssertionError, match="all gradients are zero"):
        gradcheck(rot180.ReLU(), -np.ones((2, 3)))


def test_one_gradient_of_zeros_among_others_is_told(rng):
    unused = (lambda x, w: x * 2 + 0 * w), (lambda dy, x, w: (2 * dy, 0 * dy))
    result = gradcheck(unused, rng.normal(size=3), rng.normal(size=3))
    assert "dw: right in 3 entries, all of them zero" in str(result)


def test_a_kink_is_told_and_not_compared():
    result = gradcheck(rot180.ReLU(), np.array([[0.0, 1.0, -1.0, 0.0]]))
    assert [kink.index for kink in result.checks[0].kinks] == [(0, 0), (0, 3)]
    assert "at a kink, with slope 0 on the left and" in str(result)
    assert "2 such entries were not compared: move the input" in str(result)


def test_nothing_but_kinks_is_refused():
    with pytest.raises(AssertionError, match="each of the 16 entries is at a kink"):
        gradcheck(rot180.MaxPool2d(2), np.ones((1, 4, 4, 1)))


def test_no_slope_at_a_kink_is_beyond_those_on_both_sides():
    wrong = (lambda x: np.maximum(x, 0)), (lambda dy, x: np.where(x >= 0, 2 * dy, 0) - dy * (x > 0))
    with pytest.raises(AssertionError, match=r"dx\[1\].*1 of"):
        gradcheck(wrong, np.array([1.0, 0.0, 2.0]))


def test_a_kink_near_by_does_not_disturb():
    x = np.array([3e-6, -3e-6, 1e-7, 0.5])
    assert not gradcheck(rot180.ReLU(), x[None]).checks[0].kinks


@pytest.mark.parametrize(
    ("forward", "slope", "x"),
    [
        (lambda x: np.exp(40 * x), lambda x: 40 * np.exp(40 * x), [0.0, 1.0, -0.5]),
        (lambda x: 1 / x, lambda x: -1 / x**2, [1e-2, 3.0, -1e-1]),
        (np.sin, np.cos, [1e6, 0.0, -1e3]),
        (lambda x: x**3, lambda x: 3 * x**2, [0.0, 1e-3, 1e3]),
        (lambda x: 1e-9 * x**2, lambda x: 2e-9 * x, [1.0, -2.0, 1e3]),
        (lambda x: 1e9 * x**2, lambda x: 2e9 * x, [1.0, -2.0, 1e3]),
    ],
)
def test_steep_and_curved_functions(forward, slope, x):
    x = np.array(x)
    for one in x:
        assert gradcheck((forward, lambda dy, x: dy * slope(x)), np.array([one, 1.5]))
        with pytest.raises(AssertionError):
            gradcheck((forward, lambda dy, x: dy * slope(x) * 1.00001), np.array([one, 1.5]))


def test_changes_that_drown_in_rounding_are_no_mistake(rng):
    logits = 30 * rng.normal(size=(20, 10))  # most probabilities are far below an epsilon
    assert gradcheck(rot180.losses.CrossEntropy(), logits, rng.integers(0, 10, 20), entries=200)


class Wrong(rot180.Conv2d):
    def backward(self, dy, *, input_grad=True):
        return 1.001 * super().backward(dy, input_grad=input_grad)


@pytest.mark.parametrize("convolution", [rot180.Conv2d, Wrong])
def test_many_kinks_near_by_do_not_disturb(convolution, rng):
    first = convolution(1, 12, 3, rng=rng, dtype=np.float64)
    last = rot180.Conv2d(12, 4, 3, rng=rng, dtype=np.float64)
    model = rot180.Sequential([first, rot180.ReLU(), last])
    # What goes into the ReLU is about 1e-5, and so is the step of a difference.
    x = 1e-5 * rng.normal(size=(2, 20, 20, 1))
    dx, *others = gradcheck(model, x, entries=30, raise_exception=False).checks
    assert bool(dx.wrong) == (convolution is Wrong), dx
    assert not any(check.wrong for check in others)
    assert others[1].kinks  # each of that bias shifts hundreds of pixels


def test_large_arrays_are_sampled_reproducibly(rng):
    seen = []

    def forward(x):
        seen.append(x[0, 50])
        return x**2

    x = rng.normal(size=(60, 70))
    passes = forward, lambda dy, x: 2 * x * dy
    first = gradcheck(passes, x, seed=3)
    again = gradcheck(passes, x, seed=3)
    assert first == again
    assert first.checks[0].checked == 100
    assert gradcheck(passes, x, seed=4, entries=7).checks[0].checked == 7
    # One wrong entry of few that are not zero is among those chosen.
    sparse = np.zeros((60, 70))
    sparse[17, 23] = 1
    with pytest.raises(AssertionError, match=r"dx\[17, 23\]"):
        gradcheck((lambda x: x * sparse, lambda dy, x: 2 * dy * sparse), x)


def test_a_forward_may_change_its_input(rng):
    def forward(x):
        x *= 2
        return x

    assert gradcheck((forward, lambda dy, x: 2 * dy), rng.normal(size=4))


def test_random_results_are_refused(rng):
    with pytest.raises(ValueError, match="another result for the same input"):
        gradcheck((lambda x: x * rng.normal(), lambda dy, x: dy), np.ones(3))


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        (3, {}, TypeError, "target is a int, expected an object with forward and backward"),
        ((lambda x: "y", lambda dy, x: dy), {}, TypeError, "forward returns str"),
        (
            (lambda x: x.astype(np.float32), lambda dy, x: dy),
            {},
            TypeError,
            "forward returns float32 for float64 inputs",
        ),
        (rot180.ReLU(), {"tolerance": 0}, ValueError, "tolerance"),
        (rot180.ReLU(), {"entries": 0}, ValueError, "entries"),
    ],
)
def test_wrong_arguments(target, options, error, message):
    with pytest.raises(error, match=message):
        gradcheck(target, np.ones((1, 3)), **options)
