"""The model zoo: every model works without arguments, and again the same from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from rot180 import losses, models

INPUT_SHAPES = {"digits_cnn": (8, 8, 1), "lenet5": (28, 28, 1), "blog_cnn": (28, 28, 1)}
PARAMETERS = {"digits_cnn": 93_962, "lenet5": 61_706, "blog_cnn": 134_826}


def test_every_model_is_tested_here():
    assert set(INPUT_SHAPES) == set(models.MODELS)
    for name, function in models.MODELS.items():
        assert getattr(models, name) is function


@pytest.mark.parametrize("name", INPUT_SHAPES)
def test_works_without_arguments(name):
    model = models.MODELS[name]()
    x = np.random.default_rng(0).random((3, *INPUT_SHAPES[name]), np.float32)
    logits = model.forward(x, training=True)
    assert logits.shape == (3, 10)
    assert logits.dtype == np.float32
    loss = losses.CrossEntropy()
    assert loss.forward(logits, np.array([0, 9, 4])) < 10
    assert model.backward(loss.backward()).shape == x.shape
    assert all(np.abs(parameter.grad).max() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("name", INPUT_SHAPES)
def test_parameter_count_as_documented(name):
    count = sum(parameter.value.size for parameter in models.build(name).parameters())
    assert count == PARAMETERS[name]
    assert f"{count:,} parameters" in models.MODELS[name].__doc__


@pytest.mark.parametrize("name", INPUT_SHAPES)
def test_a_seed_gives_the_same_weights_and_none_gives_others(name):
    def values(rng):
        return np.concatenate([p.value.ravel() for p in models.build(name, rng=rng).parameters()])

    np.testing.assert_array_equal(values(3), values(np.random.default_rng(3)))
    assert not np.array_equal(values(3), values(4))
    assert not np.array_equal(values(None), values(None))


@pytest.mark.parametrize("name", INPUT_SHAPES)
def test_float64(name):
    model = models.build(name, dtype=np.float64)
    assert model.forward(np.zeros((1, *INPUT_SHAPES[name]))).dtype == np.float64


def test_blog_cnn_has_the_layers_of_its_name():
    model = models.blog_cnn()
    assert model[0].weight.value.shape == (3, 3, 1, 10)
    assert model[2].weight.value.shape == (5, 5, 10, 16)
    assert model[4].weight.value.shape == (9 * 9 * 16, 100)
    assert model[5].weight.value.shape == (100, 10)


@pytest.mark.parametrize("name", ["", "digits", "build", "__import__('os')"])
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    with pytest.raises(ValueError, match="expected one of digits_cnn, lenet5, blog_cnn"):
        models.build(name)
