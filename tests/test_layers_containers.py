"""Containers: names, what layers hold, errors; Residual and Concat beside what they are made of."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from comparison import assert_same


class Noisy(rot180.Layer):
    """Holds one of everything."""

    def __init__(self):
        self.scale = rot180.Parameter(np.ones(1), "scale")
        self.mean = np.zeros(1)
        self.rng = np.random.default_rng(0)

    def forward(self, x, training=False):
        if training:
            self._save(x)
        return x

    def backward(self, dy, *, input_grad=True):
        self._take_saved()
        return dy if input_grad else None

    def output_shape(self, input_shape):
        return input_shape

    def parameters(self):
        return [self.scale]

    def named_buffers(self):
        return {"mean": self.mean}

    def named_generators(self):
        return {"rng": self.rng}


@pytest.mark.parametrize(
    ("build", "places"),
    [
        (lambda a, b: rot180.Sequential([a, b]), ("0", "1")),
        (lambda a, b: rot180.Residual(a, b), ("body", "shortcut")),
        (lambda a, b: rot180.Concat([a, b]), ("0", "1")),
        (lambda a, b: rot180.Residual(rot180.Concat([a, b])), ("body.0", "body.1")),
    ],
)
def test_what_layers_hold_is_named_by_place(build, places):
    layers = Noisy(), Noisy()
    container = build(*layers)
    for kind, local in (("parameters", "scale"), ("buffers", "mean"), ("generators", "rng")):
        named = getattr(container, f"named_{kind}")()
        assert list(named) == [f"{place}.{local}" for place in places]
        expected = [{"scale": n.scale, "mean": n.mean, "rng": n.rng}[local] for n in layers]
        assert all(a is b for a, b in zip(named.values(), expected, strict=True)), kind
    assert [name for name, _ in container.leaves() if "shortcut" not in name or len(places) == 2]
    assert container.parameters() == [layer.scale for layer in layers]
    assert [parameter.name for parameter in container.parameters()] == [
        f"{place}.scale" for place in places
    ]


def test_leaves_hold_nothing_unless_they_say_so():
    relu = rot180.ReLU()
    assert relu.children() == relu.named_buffers() == relu.named_generators() == {}


def test_a_layer_may_stand_in_one_place_only():
    relu = rot180.ReLU()
    with pytest.raises(ValueError, match=r"layers body\.0 and shortcut are the same ReLU\(\)"):
        rot180.Residual(rot180.Sequential([relu]), relu)
    with pytest.raises(TypeError, match=r"layer shortcut is 3, expected a layer"):
        rot180.Residual(relu, 3)
    with pytest.raises(TypeError, match=r"layer 0 is .*: write ReLU\(\)"):
        rot180.Concat([rot180.ReLU])


def test_release_reaches_everything():
    inner = Noisy()
    block = rot180.Residual(rot180.Concat([inner]), activation="relu")
    block.forward(np.ones((2, 3)), training=True)
    block.release()
    assert inner._saved is None
    with pytest.raises(RuntimeError, match=r"^backward\(dy\) needs"):
        block.backward(np.ones((2, 3)))


def test_summary_goes_into_containers():
    model = rot180.Sequential(
        [
            rot180.Residual(
                rot180.Conv2d(3, 4, 3, 2, 1), rot180.Conv2d(3, 4, 1, 2), activation="relu"
            ),
            rot180.Concat([rot180.Identity(), rot180.Conv2d(4, 1, 1)]),
        ]
    )
    assert model.summary((8, 6, 3)).splitlines() == [
        "            layer                                 output shape  parameters",
        "            input                                 (8, 6, 3)",
        "0           Residual                              (4, 3, 4)",
        "0.body      Conv2d(3, 4, 3, stride=2, padding=1)  (4, 3, 4)            112",
        "0.shortcut  Conv2d(3, 4, 1, stride=2)             (4, 3, 4)             16",
        "1           Concat                                (4, 3, 5)",
        "1.0         Identity()                            (4, 3, 4)              0",
        "1.1         Conv2d(4, 1, 1)                       (4, 3, 1)              5",
        "            total: 532 bytes                                           133",
    ]


def test_residual_is_the_sum_of_both_ways():
    rng = np.random.default_rng(3)
    body = rot180.Conv2d(2, 2, 3, padding=1, rng=rng)
    x = rng.normal(size=(2, 4, 5, 2)).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    block = rot180.Residual(body)
    y = block.forward(x, training=True)
    assert_same(y, body.forward(x) + x, "y")
    dx = block.backward(dy)
    body.forward(x, training=True)
    assert_same(dx, body.backward(dy) + dy, "dx")


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("in_sequential", [False, True])
def test_residual_that_ends_with_a_norm_adds_in_its_pass(activation, in_sequential):
    class Apart(rot180.BatchNorm2d):
        """A class derived from it gets no residual: it may compute something else."""

        def forward(self, x, training=False):
            return super().forward(x, training)

    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, 5, 3)).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    results = []
    for kind in (rot180.BatchNorm2d, Apart):
        norm = kind(3)
        norm.weight.value += np.float32(0.5)
        body = rot180.Sequential([rot180.Identity(), norm]) if in_sequential else norm
        block = rot180.Residual(body, rot180.LeakyReLU(), activation=activation)
        assert body.adds_residual() == (kind is rot180.BatchNorm2d)
        y = block.forward(x, training=True)
        dx = block.backward(dy)
        arrays = [norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]
        results.append([y, dx, *arrays, block.forward(x)])
    for in_one_pass, in_two in zip(*results, strict=True):
        np.testing.assert_array_equal(in_one_pass, in_two)


def test_a_norm_with_an_activation_adds_no_residual():
    norm = rot180.BatchNorm2d(2, activation="relu")
    assert not norm.adds_residual()
    x = np.ones((2, 3, 3, 2), np.float32)
    with pytest.raises(ValueError, match=r"^the layer has activation='relu', and a residual"):
        norm.forward(x, residual=x)


def test_residual_of_another_shape_than_the_norm():
    body = rot180.Sequential([rot180.Conv2d(2, 2, 3), rot180.BatchNorm2d(2)])
    block = rot180.Residual(body)
    message = (
        r"residual has shape \(1, 4, 5, 2\), expected \(1, 2, 3, 2\): that of x, which it is "
        r"added to; give the body padding"
    )
    with pytest.raises(ValueError, match=message):
        block.forward(np.ones((1, 4, 5, 2), np.float32))


def test_residual_needs_one_shape():
    block = rot180.Residual(rot180.Conv2d(2, 3, 3, padding=1))
    message = r"body returns shape .*4, 5, 3\) and shortcut .*4, 5, 2\), expected the same"
    with pytest.raises(ValueError, match=message):
        block.forward(np.ones((1, 4, 5, 2), np.float32))
    with pytest.raises(ValueError, match=message):
        block.output_shape((4, 5, 2))
    with pytest.raises(ValueError, match="activation='gelu' is unknown"):
        rot180.Residual(rot180.ReLU(), activation="gelu")


def test_concat_joins_channels_and_shares_out_dy():
    concat = rot180.Concat([rot180.Identity(), rot180.ReLU(), rot180.Identity()])
    x = np.arange(-6.0, 6.0).reshape(1, 2, 3, 2)
    y = concat.forward(x, training=True)
    assert_same(y, np.concatenate([x, np.maximum(x, 0), x], axis=-1), "y")
    dy = np.arange(36.0).reshape(1, 2, 3, 6)
    dx = concat.backward(dy)
    assert_same(dx, dy[..., :2] + np.where(x > 0, dy[..., 2:4], 0) + dy[..., 4:], "dx")


def test_concat_needs_branches_that_fit():
    with pytest.raises(ValueError, match="branches is empty"):
        rot180.Concat([])
    concat = rot180.Concat([rot180.Identity(), rot180.MaxPool2d(2)])
    with pytest.raises(ValueError, match=r"branch 0 returns shape .* and branch 1 .*, expected"):
        concat.forward(np.ones((1, 4, 4, 2)))
    with pytest.raises(ValueError, match=r"branch 0 returns shape .* and branch 1 .*, expected"):
        concat.output_shape((4, 4, 2))
    with pytest.raises(ValueError, match=r"^layer 1, MaxPool2d\(2\): "):
        rot180.Concat([rot180.Identity(), rot180.MaxPool2d(2)]).forward(np.ones((2, 3)))


def test_input_grad_false_leaves_out_dx():
    rng = np.random.default_rng(0)
    for container in (
        rot180.Residual(rot180.Conv2d(2, 2, 1, rng=rng)),
        rot180.Concat([rot180.Identity(), rot180.Conv2d(2, 2, 1, rng=rng)]),
    ):
        x = np.ones((1, 3, 3, 2), np.float32)
        y = container.forward(x, training=True)
        assert container.backward(y, input_grad=False) is None
        assert all(parameter.grad.any() for parameter in container.parameters())


def test_reshape_refuses_another_number_of_numbers():
    with pytest.raises(ValueError, match=r"shape \(3, 4\) has 12 numbers, shape=\(5, 2\) holds 10"):
        rot180.Reshape((5, 2)).forward(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"shape\[1\]"):
        rot180.Reshape((5, 0))
