"""The model zoo: every model works without arguments, learns, and is again the same from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from rot180 import losses, models, optim

# (parameters, input shape, output shape for one image), as the models come and with other sizes.
DEFAULTS = {
    "digits_cnn": (93_962, (8, 8, 1), (10,)),
    "lenet5": (61_706, (28, 28, 1), (10,)),
    "mnist_cnn": (1_199_882, (28, 28, 1), (10,)),
    "blog_cnn": (134_826, (28, 28, 1), (10,)),
}
CLASSIFIERS = {
    "digits_cnn": (94_151, (16, 12, 3), (7,)),
    "lenet5": (59_831, (32, 24, 3), (7,)),
    "mnist_cnn": (757_703, (24, 23, 3), (7,)),
    "blog_cnn": (85_103, (20, 30, 3), (7,)),
}


def count(model):
    return sum(parameter.value.size for parameter in model.parameters())


def test_every_model_is_tested_here():
    assert set(DEFAULTS) == set(models.MODELS)
    assert set(CLASSIFIERS) == set(models.CLASSIFIERS)
    assert models.CLASSIFIERS.items() <= models.MODELS.items()
    for name, function in models.MODELS.items():
        assert getattr(models, name) is function
        assert name in models.__all__


@pytest.mark.parametrize("name", DEFAULTS)
def test_works_without_arguments(name):
    parameters, input_shape, output_shape = DEFAULTS[name]
    model = models.MODELS[name]()
    assert count(model) == parameters
    assert f"{parameters:,} parameters" in models.MODELS[name].__doc__
    assert models.input_shape(name) == input_shape
    assert model.output_shape(input_shape) == output_shape


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_other_images_and_classes(name):
    parameters, input_shape, output_shape = CLASSIFIERS[name]
    model = models.build(name, input_shape=input_shape, classes=output_shape[0])
    assert count(model) == parameters
    assert model.output_shape(input_shape) == output_shape
    x = np.zeros((1, *input_shape), np.float32)
    assert model.forward(x).shape == (1, *output_shape)


@pytest.mark.parametrize("name", DEFAULTS)
def test_learns_a_batch(name):
    model = models.build(name, rng=0)
    rng = np.random.default_rng(1)
    x = rng.random((4, *models.input_shape(name)), np.float32)
    target, loss = np.array([0, 9, 4, 1]), losses.CrossEntropy()
    adam = optim.Adam(model.parameters(), lr=1e-3)
    first = last = None
    for _ in range(12):
        last = loss.forward(model.forward(x, training=True), target)
        first = last if first is None else first
        adam.zero_grad()
        dx = model.backward(loss.backward())
        assert dx.shape == x.shape
        assert all(np.abs(parameter.grad).max() > 0 for parameter in model.parameters())
        adam.step()
    assert last < 0.5 * first


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_seed_gives_the_same_weights_and_none_gives_others(name):
    def values(rng):
        return np.concatenate([p.value.ravel() for p in models.build(name, rng=rng).parameters()])

    np.testing.assert_array_equal(values(3), values(np.random.default_rng(3)))
    assert not np.array_equal(values(3), values(4))
    assert not np.array_equal(values(None), values(None))


@pytest.mark.parametrize("name", DEFAULTS)
def test_float64(name):
    model = models.build(name, dtype=np.float64)
    assert all(parameter.value.dtype == np.float64 for parameter in model.parameters())
    assert model.forward(np.zeros((1, *models.input_shape(name)))).dtype == np.float64


def test_blog_cnn_has_the_layers_of_its_name():
    model = models.blog_cnn()
    assert model[0].weight.value.shape == (3, 3, 1, 10)
    assert model[2].weight.value.shape == (5, 5, 10, 16)
    assert model[4].weight.value.shape == (9 * 9 * 16, 100)
    assert model[5].weight.value.shape == (100, 10)


def test_too_small_an_image_is_refused_with_the_layer_it_does_not_fit():
    with pytest.raises(ValueError, match=r"layer 2, Conv2d\(6, 16, 5, .*kernel covers 5"):
        models.lenet5(input_shape=(8, 8, 1))


def test_an_option_that_the_model_does_not_have_is_refused():
    with pytest.raises(TypeError, match="blocks"):
        models.build("lenet5", blocks=3)


@pytest.mark.parametrize("name", ["", "digits", "build", "__import__('os')"])
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    for function in (models.build, models.input_shape):
        with pytest.raises(ValueError, match="expected one of digits_cnn, lenet5, mnist_cnn"):
            function(name)
