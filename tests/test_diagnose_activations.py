"""rot180.diagnose.activation_backward: right implementations pass, wrong ones are named."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rot180 import diagnose, functional, reference
from rot180.diagnose.activations import NAMES


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gelu_tanh(dy, z):
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (z + 0.044715 * z**3))
    return dy * (0.5 * (1 + t) + 0.5 * z * (1 - t * t) * c * (1 + 3 * 0.044715 * z**2))


def relu_loop(x, dout):
    dx = dout.copy()
    for index in np.ndindex(x.shape):
        if x[index] <= 0:
            dx[index] = 0
    return dx


# Written apart from rot180's.
RIGHT = {
    "relu of z": ("relu", lambda dy, z: dy * (z > 0)),
    "relu of a": ("relu", lambda grad, out: np.where(out > 0, grad, 0)),
    "relu by a loop": ("relu", relu_loop),
    "leaky": ("leaky_relu", lambda dy, x: np.where(x > 0, dy, dy * dy.dtype.type(0.01))),
    "elu of z": ("elu", lambda dy, z: dy * np.where(z > 0, 1, np.exp(z)).astype(dy.dtype)),
    "elu of a": ("elu", lambda dy, y: dy * np.where(y > 0, 1, y + 1)),
    "sigmoid of a": ("sigmoid", lambda dy, a: dy * a * (1 - a)),
    "sigmoid of z": ("sigmoid", lambda dy, z: dy * sigmoid(z) * (1 - sigmoid(z))),
    "sigmoid by exp": ("sigmoid", lambda dy, z: dy * np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh of a": ("tanh", lambda dy, a: dy * (1 - a**2)),
    "tanh by cosh": ("tanh", lambda dy, z: dy / np.cosh(z) ** 2),
    "silu": ("silu", lambda dy, z: dy * (sigmoid(z) + z * sigmoid(z) * (1 - sigmoid(z)))),
    "gelu by tanh": ("gelu", gelu_tanh),
}


@pytest.mark.parametrize("module", [reference, functional])
@pytest.mark.parametrize("name", NAMES)
def test_rot180_s_own_pass(name, module):
    grad_input = getattr(module, f"{name}_grad_input")
    if name in ("silu", "gelu"):
        found = diagnose.activation_backward(lambda dy, x: grad_input(dy, x), name)
    else:
        found = diagnose.activation_backward(lambda dy, y: grad_input(dy, y), name)
    assert found.right, found


@pytest.mark.parametrize("case", RIGHT)
def test_right_implementations_pass(case):
    name, backward = RIGHT[case]
    found = diagnose.activation_backward(backward, name)
    assert found.right, found


def test_the_form_of_gelu_is_noted():
    assert "approximation with tanh" in diagnose.activation_backward(gelu_tanh, "gelu").notes[0]


WRONG = [
    ("relu", lambda dy, z: dy, "the derivative is missing"),
    ("relu", lambda dy, z: dy * (z >= 0), "the derivative at 0 is 1"),
    ("relu", lambda dy, z: dy * (np.sign(z) + 1) / 2, "between those of the two sides"),
    ("relu", lambda dy, z: dy * np.maximum(z, 0), "the activation itself is taken"),
    ("relu", lambda dy, z: dy * (dy > 0), "taken at dy instead of at z"),
    ("relu", lambda dy, z: (z > 0) * 1.0, "dy is missing"),
    ("relu", lambda dy, z: -dy * (z > 0), "the sign is wrong"),
    ("leaky_relu", lambda dy, z: dy * (z > 0), "the slope left of 0 is missing"),
    ("leaky_relu", lambda dy, z: dy * 0.01, "the slope holds on both sides"),
    ("sigmoid", lambda dy, z: dy * z * (1 - z), "formula for the output a is used with z"),
    ("sigmoid", lambda dy, a: dy * sigmoid(a) * (1 - sigmoid(a)), "taken at a = g(z)"),
    ("sigmoid", lambda dy, a: dy * a, "the activation itself is taken"),
    ("sigmoid", lambda dy, a: dy * (a * (1 - a)) ** 2, "the derivative is applied twice"),
    ("sigmoid", lambda dy, a: dy * (1 - a), "the derivative lacks a factor"),
    ("tanh", lambda dy, a: dy * (1 - a), "a is not squared"),
    ("tanh", lambda dy, z: dy * (1 - z**2), "formula for the output a is used with z"),
    ("tanh", lambda dy, a: dy * (1 - np.tanh(a) ** 2), "taken at a = g(z)"),
    ("tanh", lambda dy, a: dy * (1 - a**2) ** 2, "the derivative is applied twice"),
    (
        "elu",
        lambda dy, z: dy * np.where(z > 0, 1, z + 1),
        "formula for the output a is used with z",
    ),
    ("silu", lambda dy, z: dy * z * sigmoid(z), "the activation itself is taken"),
    ("gelu", lambda dy, z: dy, "the derivative is missing"),
]


@pytest.mark.parametrize(("name", "backward", "told"), WRONG)
def test_a_mistake_is_named(name, backward, told):
    found = diagnose.activation_backward(backward, name)
    (mistake,) = found.mistakes
    assert told in mistake.name
    assert mistake.page == ("adam-and-backprop" if "sign" in told else "activation-derivative")


@pytest.mark.parametrize(
    ("name", "backward", "told"),
    [
        ("relu", lambda dy, z: -dy * (z >= 0), {"the derivative at 0 is 1", "the sign is wrong"}),
        (
            "sigmoid",
            lambda dy, a: 1 - a,
            {"dy is missing", "the derivative lacks a factor"},
        ),
        (
            "tanh",
            lambda dy, a: -dy * (1 - a**2) ** 2,
            {"the derivative is applied twice", "the sign is wrong"},
        ),
        (
            "leaky_relu",
            lambda dy, z: -dy * (z > 0),
            {"the slope left of 0 is missing", "the sign is wrong"},
        ),
    ],
)
def test_several_mistakes(name, backward, told):
    found = diagnose.activation_backward(backward, name)
    assert {mistake.name for mistake in found.mistakes} == told


def test_the_first_wrong_entry_is_written_out():
    found = diagnose.activation_backward(lambda dy, z: dy * z**2, "sigmoid")
    (finding,) = found.findings
    assert not finding.mistakes
    written = "dx[0, 0] = dy[0,0]*g'(z[0,0]) = (1.25)*g'(-1.52493) = (1.25)*(0.14679)"
    assert finding.facts[0].endswith(written)


def test_another_slope():
    def backward(dy, z):
        return np.where(z > 0, dy, dy * dy.dtype.type(0.25))

    assert diagnose.activation_backward(backward, "leaky_relu", negative_slope=0.25).right
    assert not diagnose.activation_backward(backward, "leaky_relu").right


def test_wrong_arguments():
    with pytest.raises(ValueError, match="name is 'softmax', expected one of relu, leaky_relu"):
        diagnose.activation_backward(relu_loop, "softmax")
