"""Sequential: order, names, summary, which layer raised, and the first layer's dx left out."""

from __future__ import annotations

import numpy as np
import pytest

import rot180


class Spy(rot180.Layer):
    """Passes everything through and notes what backward was asked for."""

    def __init__(self, parameter=None):
        self.calls = []
        self.own = [] if parameter is None else [rot180.Parameter(np.zeros(1), parameter)]

    def forward(self, x, training=False):
        if training:
            self._save(x)
        return x + 1

    def backward(self, dy, *, input_grad=True):
        self._take_saved()
        self.calls.append(input_grad)
        return dy * 2 if input_grad else None

    def output_shape(self, input_shape):
        return input_shape

    def parameters(self):
        return self.own

    def __repr__(self):
        return "Spy()"


def network(rng=None):
    return rot180.Sequential(
        [
            rot180.Conv2d(1, 4, 3, padding=1, activation="relu", rng=rng),
            rot180.Sequential([rot180.Conv2d(4, 2, 3, bias=False, rng=rng), rot180.ReLU()]),
            rot180.Flatten(),
            rot180.Linear(2 * 6 * 4, 3, rng=rng),
        ]
    )


def test_forward_and_backward_go_through_all_layers():
    spies = [Spy(), Spy("weight"), Spy()]
    model = rot180.Sequential(spies)
    assert model.forward(np.zeros(1)).tolist() == [3.0]
    model.forward(np.zeros(1), training=True)
    assert model.backward(np.ones(1)).tolist() == [8.0]
    assert [spy.calls for spy in spies] == [[True]] * 3


@pytest.mark.parametrize(
    ("layers", "asked"),
    [
        ([None, "weight", None, "weight"], [[], [False], [True], [True]]),
        (["weight", None], [[False], [True]]),
        ([None, None], [[], []]),
    ],
)
def test_backward_ends_at_the_first_layer_with_parameters(layers, asked):
    spies = [Spy(name) for name in layers]
    model = rot180.Sequential(spies)
    model.forward(np.zeros(1), training=True)
    assert model.backward(np.ones(1), input_grad=False) is None
    assert [spy.calls for spy in spies] == asked
    assert all(spy._saved is None for spy in spies), "layers before the first keep nothing either"


def test_backward_ends_inside_a_nested_sequential():
    spies = [Spy(), Spy("weight"), Spy("weight")]
    model = rot180.Sequential([rot180.Sequential(spies[:2]), spies[2]])
    model.forward(np.zeros(1), training=True)
    assert model.backward(np.ones(1), input_grad=False) is None
    assert [spy.calls for spy in spies] == [[], [False], [True]]


def test_release_drops_what_was_saved():
    model = network()
    y = model.forward(np.zeros((1, 8, 6, 1), np.float32), training=True)
    model.release()
    with pytest.raises(RuntimeError, match="layer 3"):
        model.backward(y)


def test_parameters_are_named_by_place():
    model = network()
    names = ["0.weight", "0.bias", "1.0.weight", "3.weight", "3.bias"]
    assert list(model.named_parameters()) == names
    assert [parameter.name for parameter in model.parameters()] == names
    assert list(model.named_parameters().values()) == model.parameters()
    rot180.Sequential(model.layers)  # the same layers at the same places
    assert [parameter.name for parameter in model.parameters()] == names


def test_it_is_a_sequence():
    model = network()
    assert len(model) == 4
    assert isinstance(model[2], rot180.Flatten)
    assert model[-1] is model.layers[3]
    assert list(model) == list(model.layers)


def test_summary():
    assert network().summary((8, 6, 1)).splitlines() == [
        "     layer                                          output shape  parameters",
        "     input                                          (8, 6, 1)",
        "0    Conv2d(1, 4, 3, padding=1, activation='relu')  (8, 6, 4)             40",
        "1    Sequential                                     (6, 4, 2)",
        "1.0  Conv2d(4, 2, 3, bias=False)                    (6, 4, 2)             72",
        "1.1  ReLU()                                         (6, 4, 2)              0",
        "2    Flatten()                                      (48,)                  0",
        "3    Linear(48, 3)                                  (3,)                 147",
        "     total: 1,036 bytes                                                  259",
    ]


def test_summary_counts_bytes_of_float64():
    model = rot180.Sequential([rot180.Linear(1000, 3, dtype=np.float64)])
    assert model.summary((1000,)).splitlines()[-1].split() == ["total:", "24,024", "bytes", "3,003"]


def test_summary_of_a_misfit_names_the_layer():
    with pytest.raises(ValueError, match=r"layer 3, Linear\(48, 3\): input_shape is \(120,\)"):
        network().summary((12, 8, 1))


def test_repr():
    model = rot180.Sequential([rot180.ReLU(), rot180.Sequential([rot180.Tanh()])])
    assert repr(model) == (
        "Sequential([\n    ReLU(),\n    Sequential([\n        Tanh(),\n    ]),\n])"
    )


def test_errors_name_the_layer():
    model = network()
    with pytest.raises(ValueError, match=r"^layer 0, Conv2d\(1, 4, .*\): x has shape"):
        model.forward(np.zeros((2, 8, 6, 3), np.float32))
    with pytest.raises(ValueError, match=r"^layer 3, Linear\(48, 3\): x has shape"):
        model.forward(np.zeros((2, 9, 6, 1), np.float32))
    with pytest.raises(TypeError, match=r"^layer 0, Conv2d.*float64"):
        model.forward(np.zeros((2, 8, 6, 1)))
    with pytest.raises(ValueError, match=r"^layer 1, Sequential: layer 0, Conv2d\(4, 2, "):
        model.forward(np.zeros((2, 1, 1, 1), np.float32))
    with pytest.raises(RuntimeError, match=r"^layer 3, Linear\(48, 3\): backward\(dy\) needs"):
        model.backward(np.zeros((2, 3), np.float32))
    model.forward(np.zeros((2, 8, 6, 1), np.float32), training=True)
    with pytest.raises(ValueError, match=r"^layer 3, Linear\(48, 3\): .*dy"):
        model.backward(np.zeros((2, 4), np.float32))


def test_entries_must_be_layers_and_each_there_once():
    with pytest.raises(TypeError, match=r"layer 1 is .*ReLU.*: write ReLU\(\)"):
        rot180.Sequential([rot180.Flatten(), rot180.ReLU])
    with pytest.raises(TypeError, match=r"layer 0 is 'relu', expected a layer$"):
        rot180.Sequential(["relu"])
    relu = rot180.ReLU()
    with pytest.raises(ValueError, match=r"layers 0 and 2 are the same ReLU\(\)"):
        rot180.Sequential([relu, rot180.Flatten(), relu])
    with pytest.raises(ValueError, match=r"layers 0 and 1\.0 are the same ReLU\(\)"):
        rot180.Sequential([relu, rot180.Sequential([relu])])


def test_the_same_generator_gives_the_same_network():
    one, other = network(np.random.default_rng(1)), network(np.random.default_rng(1))
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value)
