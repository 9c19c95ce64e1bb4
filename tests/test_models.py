"""The model zoo: every model works without arguments, learns, and is again the same from a seed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rot180 import losses, models, optim
from rot180.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Residual

# (parameters, input shape, output shape for one image), as the models come and with other sizes.
DEFAULTS = {
    "digits_cnn": (93_962, (8, 8, 1), (10,)),
    "lenet5": (61_706, (28, 28, 1), (10,)),
    "mnist_cnn": (1_199_882, (28, 28, 1), (10,)),
    "blog_cnn": (134_826, (28, 28, 1), (10,)),
    "vgg_small": (1_187_274, (32, 32, 3), (10,)),
    "resnet20": (272_474, (32, 32, 3), (10,)),
    "resnet32": (466_906, (32, 32, 3), (10,)),
    "resnet56": (855_770, (32, 32, 3), (10,)),
    "mobilenet_small": (543_050, (32, 32, 3), (10,)),
    "autoencoder": (1_326_851, (64, 64, 3), (64, 64, 3)),
    "unet_small": (117_378, (64, 64, 3), (64, 64, 2)),
}
OTHERS = {
    "digits_cnn": (94_151, (16, 12, 3), (7,)),
    "lenet5": (59_831, (32, 24, 3), (7,)),
    "mnist_cnn": (757_703, (24, 23, 3), (7,)),
    "blog_cnn": (85_103, (20, 30, 3), (7,)),
    "vgg_small": (1_155_911, (17, 24, 1), (7,)),
    "resnet20": (271_991, (17, 24, 1), (7,)),
    "resnet32": (466_423, (17, 24, 1), (7,)),
    "resnet56": (855_287, (17, 24, 1), (7,)),
    "mobilenet_small": (540_935, (17, 24, 1), (7,)),
    "unet_small": (117_175, (12, 20, 1), (12, 20, 7)),
}


def count(model):
    return sum(parameter.value.size for parameter in model.parameters())


def test_every_model_is_tested_here():
    assert set(DEFAULTS) == set(models.MODELS)
    assert models.CLASSIFIERS.items() <= models.MODELS.items()
    assert set(models.MODELS) - set(models.CLASSIFIERS) == {"autoencoder", "unet_small"}
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


@pytest.mark.parametrize("name", OTHERS)
def test_other_images_and_classes(name):
    parameters, input_shape, output_shape = OTHERS[name]
    model = models.build(name, input_shape=input_shape, classes=output_shape[-1])
    assert count(model) == parameters
    assert model.output_shape(input_shape) == output_shape
    x = np.zeros((1, *input_shape), np.float32)
    assert model.forward(x).shape == (1, *output_shape)


def batch(name, size):
    """Some images, what to learn about them, and the loss that says how well."""
    rng = np.random.default_rng(1)
    x = rng.random((size, *models.input_shape(name)), np.float32)
    if name == "autoencoder":
        return x, x, losses.MeanSquaredError()
    if name == "unet_small":
        return x, (x[..., 0] > x[..., 1]).astype(int), losses.CrossEntropy()
    return x, rng.integers(10, size=size), losses.CrossEntropy()


def train(model, x, target, loss, steps):
    """The loss before each step; every parameter must have a gradient."""
    adam = optim.Adam(model.parameters(), lr=1e-3)
    values = []
    for _ in range(steps):
        values.append(loss.forward(model.forward(x, training=True), target))
        adam.zero_grad()
        assert model.backward(loss.backward()).shape == x.shape
        assert all(np.abs(parameter.grad).max() > 0 for parameter in model.parameters())
        adam.step()
    return values


@pytest.mark.parametrize("name", DEFAULTS)
def test_learns_a_batch(name):
    values = train(models.build(name, rng=0), *batch(name, 4), steps=12)
    assert values[-1] < 0.7 * values[0]


@pytest.mark.parametrize("name", DEFAULTS)
def test_training_gives_the_same_bits_with_any_number_of_threads(name, num_threads):
    trained = []
    for threads in (1, 3):
        num_threads(threads)
        model = models.build(name, rng=0)
        train(model, *batch(name, 2), steps=2)
        parameters = [parameter.value for parameter in model.parameters()]
        trained.append([*parameters, *model.named_buffers().values()])
    for one, other in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_seed_gives_the_same_weights_and_none_gives_others(name):
    def values(rng):
        return np.concatenate([p.value.ravel() for p in models.build(name, rng=rng).parameters()])

    np.testing.assert_array_equal(values(3), values(np.random.default_rng(3)))
    assert not np.array_equal(values(3), values(4))
    assert not np.array_equal(values(None), values(None))


@pytest.mark.parametrize("name", DEFAULTS)
def test_float64(name):
    model = models.build(name, rng=0, dtype=np.float64)
    assert all(parameter.value.dtype == np.float64 for parameter in model.parameters())
    assert all(buffer.dtype == np.float64 for buffer in model.named_buffers().values())
    x = np.random.default_rng(0).random((1, *models.input_shape(name)))
    y = model.forward(x)
    assert y.dtype == np.float64
    single = models.build(name, rng=0).forward(x.astype(np.float32))
    np.testing.assert_allclose(single, y, rtol=0, atol=1e-4 * np.abs(y).max())


def test_blog_cnn_has_the_layers_of_its_name():
    model = models.blog_cnn()
    assert model[0].weight.value.shape == (3, 3, 1, 10)
    assert model[2].weight.value.shape == (5, 5, 10, 16)
    assert model[4].weight.value.shape == (9 * 9 * 16, 100)
    assert model[5].weight.value.shape == (100, 10)


@pytest.mark.parametrize("name", DEFAULTS)
def test_where_batch_norm_follows_a_convolution_has_no_bias(name):
    leaves = [layer for _, layer in models.build(name).leaves()]
    for layer, after in itertools.pairwise(leaves):
        if isinstance(layer, Conv2d | ConvTranspose2d) and isinstance(after, BatchNorm2d):
            assert layer.bias is None


@pytest.mark.parametrize(("name", "blocks"), [("resnet20", 9), ("resnet32", 15), ("resnet56", 27)])
def test_resnets_have_the_depth_of_their_names(name, blocks):
    model = models.build(name)
    residuals = [layer for layer in model if isinstance(layer, Residual)]
    assert len(residuals) == blocks
    weights = [w for w in model.named_parameters() if w.endswith("weight") and "shortcut" not in w]
    layers = [w for w in weights if model.named_parameters()[w].value.ndim > 1]
    assert len(layers) == int(name.removeprefix("resnet"))
    shortcuts = [block.shortcut for block in residuals if block.shortcut.parameters()]
    assert [shortcut[0].kernel_size for shortcut in shortcuts] == [(1, 1)] * 2
    assert [shortcut[0].stride for shortcut in shortcuts] == [(2, 2)] * 2


def test_mobilenet_is_depthwise():
    convolutions = [
        layer for _, layer in models.mobilenet_small().leaves() if isinstance(layer, Conv2d)
    ]
    depthwise = [layer for layer in convolutions if layer.groups > 1]
    assert len(depthwise) == 7
    assert all(layer.groups == layer.in_channels == layer.out_channels for layer in depthwise)


def test_autoencoder_of_other_sizes():
    model = models.autoencoder(input_shape=(8, 12, 1), channels=(16, 32), code_channels=3)
    encoder, decoder = model
    assert encoder.output_shape((8, 12, 1)) == (2, 3, 3)
    assert decoder.output_shape((2, 3, 3)) == (8, 12, 1)
    image = model.forward(np.random.default_rng(0).random((2, 8, 12, 1), np.float32))
    assert 0 < image.min() < image.max() < 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("autoencoder", {"input_shape": (28, 28, 1)}, r"divided by 2\*\*3"),
        ("autoencoder", {"channels": ()}, "at least one channel"),
        ("autoencoder", {"channels": (8, 0)}, r"channels\[1\] must be from 1"),
        ("unet_small", {"input_shape": (8, 6, 1)}, r"input_shape is \(8, 6, 1\).*divided by 4"),
        ("vgg_small", {"input_shape": (7, 32, 3)}, "layer 14, MaxPool2d"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.build(name, **options)


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
