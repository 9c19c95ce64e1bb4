"""Layers' arguments: what is refused and how, how a layer is shown, which shapes come out."""

from __future__ import annotations

import numpy as np
import pytest

import rot180


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: rot180.Conv2d(0, 3, 3), ValueError, "in_channels must be from 1"),
        (lambda: rot180.Conv2d(1, -3, 3), ValueError, "out_channels must be from 1"),
        (lambda: rot180.Conv2d(1, 3, 0), ValueError, "kernel_size must be from 1"),
        (lambda: rot180.Conv2d(1, 3, 2.5), TypeError, "kernel_size must be an int"),
        (lambda: rot180.Conv2d(1, 3, (3, 3, 3)), ValueError, "kernel_size=.* has 3 entries"),
        (lambda: rot180.Conv2d(1, 3, 3, stride=0), ValueError, "stride must be from 1"),
        (lambda: rot180.Conv2d(1, 3, 3, padding=-1), ValueError, "padding must be from 0"),
        (lambda: rot180.Conv2d(1, 3, 3, padding="half"), ValueError, "padding='half' is unknown"),
        (lambda: rot180.Conv2d(1, 3, 3, dilation=0), ValueError, "dilation must be from 1"),
        (
            lambda: rot180.Conv2d(4, 6, 3, groups=4),
            ValueError,
            "groups=4 must divide in_channels=4 and out_channels=6",
        ),
        (
            lambda: rot180.Conv2d(1, 3, 3, activation="gelu"),
            ValueError,
            "activation='gelu' is unknown: expected None, 'relu', 'relu6', 'leaky_relu', "
            "'sigmoid', 'tanh'",
        ),
        (lambda: rot180.Conv2d(1, 3, 3, dtype=np.int32), TypeError, "float32 or float64"),
        (lambda: rot180.Conv2d(1, 3, 3, dtype="spam"), TypeError, "got 'spam'"),
        (lambda: rot180.Conv2d(1, 3, 3, rng=7), TypeError, r"numpy.random.default_rng\(seed\)"),
        (
            lambda: rot180.ConvTranspose2d(1, 3, 3, output_padding=1),
            ValueError,
            r"output_padding \(1, 1\) must be smaller than the stride \(1, 1\)",
        ),
        (
            lambda: rot180.ConvTranspose2d(1, 3, 3, 2, "same", 1),
            ValueError,
            'output_padding is .* beside padding="same"',
        ),
        (
            lambda: rot180.ConvTranspose2d(6, 4, 3, groups=4),
            ValueError,
            "groups=4 must divide in_channels=6 and out_channels=4",
        ),
        (lambda: rot180.ConvTranspose2d(1, 3, 3, algorithm="fft"), ValueError, "algorithm is"),
        (lambda: rot180.Linear(0, 3), ValueError, "in_features must be from 1"),
        (lambda: rot180.Linear(3, 0), ValueError, "out_features must be from 1"),
        (lambda: rot180.Linear(3, 2, activation="softmax"), ValueError, "'softmax' is unknown"),
        (
            lambda: rot180.Linear(3, 2, initializer=lambda shape, *, rng, dtype: np.zeros(3)),
            ValueError,
            r"returned shape \(3,\), expected \(3, 2\)",
        ),
        (lambda: rot180.MaxPool2d(0), ValueError, "kernel_size must be from 1"),
        (lambda: rot180.MaxPool2d(2, stride=-1), ValueError, "stride must be from 1"),
        (lambda: rot180.MaxPool2d(2, activation="gelu"), ValueError, "'gelu' is unknown"),
        (lambda: rot180.AvgPool2d(2, padding="half"), ValueError, "padding='half' is unknown"),
        (lambda: rot180.BatchNorm2d(0), ValueError, "num_features must be from 1"),
        (lambda: rot180.BatchNorm2d(3, eps=-1), ValueError, "eps must be at least 0"),
        (lambda: rot180.BatchNorm2d(3, momentum=2), ValueError, "momentum must be at most 1"),
        (lambda: rot180.BatchNorm2d(3, activation="elu6"), ValueError, "'elu6' is unknown"),
        (lambda: rot180.BatchNorm2d(3, dtype=int), TypeError, "float32 or float64"),
        (lambda: rot180.GroupNorm(2, 5), ValueError, "num_groups=2 does not divide num_channels=5"),
        (lambda: rot180.GroupNorm(0, 4), ValueError, "num_groups must be from 1"),
        (lambda: rot180.GroupNorm(2, 4, eps=-1), ValueError, "eps must be at least 0"),
        (lambda: rot180.GroupNorm(2, 4, activation="elu6"), ValueError, "'elu6' is unknown"),
        (lambda: rot180.LayerNorm(()), ValueError, "normalized_shape is .*at least one axis"),
        (lambda: rot180.LayerNorm((4, 0)), ValueError, "sizes of at least 1"),
        (lambda: rot180.LayerNorm(4.0), TypeError, "normalized_shape must be a tuple of ints"),
        (lambda: rot180.LayerNorm(4, dtype=int), TypeError, "float32 or float64"),
        (lambda: rot180.AdaptiveAvgPool2d((1, 0)), ValueError, "output_size must be from 1"),
        (lambda: rot180.Upsample(0), ValueError, "scale_factor must be greater than 0, got 0"),
        (lambda: rot180.Upsample("2x"), TypeError, "scale_factor must be a number, got '2x'"),
        (lambda: rot180.Upsample(2, "cubic"), ValueError, "mode='cubic' is unknown"),
        (
            lambda: rot180.Upsample(2, align_corners=True),
            ValueError,
            "align_corners=True is for mode='bilinear', not for mode='nearest'",
        ),
        (lambda: rot180.LeakyReLU(-0.1), ValueError, "negative_slope must be at least 0"),
        (lambda: rot180.LeakyReLU(float("nan")), ValueError, "negative_slope must be at least 0"),
        (lambda: rot180.ELU(-1), ValueError, "alpha must be at least 0"),
        (lambda: rot180.GELU("erf"), ValueError, "approximate='erf' is unknown"),
        (lambda: rot180.Dropout(1.0), ValueError, "p must be at least 0 and less than 1, got 1.0"),
        (lambda: rot180.Dropout(rng=7), TypeError, "rng must be a numpy.random.Generator, got 7"),
        (lambda: rot180.ZeroPad2d(-1), ValueError, "padding must be from 0"),
        (lambda: rot180.ZeroPad2d("same"), TypeError, "padding='same': without a kernel"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (rot180.Conv2d(3, 4, 3), (2, 3, 8, 8), "NCHW"),
        (rot180.Conv2d(3, 4, 3), (2, 2, 2, 3), "kernel covers 3"),
        (rot180.Conv2d(3, 4, 3), (8, 8), r"x has shape \(8, 8\)"),
        (rot180.ConvTranspose2d(3, 4, 3), (2, 3, 8, 8), "NCHW"),
        (rot180.ConvTranspose2d(3, 4, 2, padding=1), (2, 1, 2, 3), "output would be 0 in height"),
        (rot180.Linear(3, 4), (2, 5), "x has shape"),
        (rot180.Linear(3, 4), (2, 4, 4, 3), "x has shape"),
        (rot180.MaxPool2d(3), (2, 2, 2, 3), "kernel covers 3"),
        (rot180.AvgPool2d(2), (2, 2), r"x has shape \(2, 2\)"),
        (rot180.BatchNorm2d(3), (2, 3, 4, 4), "x looks like NCHW, pass numpy.moveaxis"),
        (rot180.BatchNorm2d(3), (2, 4, 4, 5), r"x has shape .* expected \(N, H, W, 3\)"),
        (rot180.BatchNorm2d(3), (2, 3), "or one image"),
        (rot180.BatchNorm2d(3), (1, 1, 1, 3), "one value for each channel"),
        (rot180.GroupNorm(1, 3), (2, 3, 4, 4), "x looks like NCHW, pass numpy.moveaxis"),
        (rot180.GroupNorm(1, 3), (2, 3), "or one image"),
        (rot180.LayerNorm((4, 3)), (2, 4, 4), r"expected one that ends with the axes \(4, 3\)"),
        (rot180.GlobalAvgPool2d(), (2, 2), r"x has shape \(2, 2\)"),
        (rot180.Upsample(0.3), (2, 3, 4, 1), "output would be 0.9 in height, with scale_factor 0."),
        (rot180.ZeroPad2d(1), (2, 2), r"x has shape \(2, 2\)"),
        (rot180.Flatten(), (), "x is a single number"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.forward(np.zeros(shape, np.float32), training=True)
    with pytest.raises(RuntimeError):
        layer.backward(np.zeros(1, np.float32))  # a forward that failed has saved nothing


def test_float64_into_a_float32_layer():
    with pytest.raises(TypeError, match="float32"):
        rot180.Conv2d(1, 2, 3).forward(np.zeros((1, 4, 4, 1)))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (rot180.Conv2d(3, 4, 3), (8, 8), r"expected \(H, W, C\)$"),
        (rot180.Conv2d(3, 4, 3), (1, 8, 8, 3), r"expected \(H, W, C\): leave out the batch axis"),
        (rot180.Conv2d(3, 4, 3), (8, 8, 4), "with 4 channels"),
        (rot180.ConvTranspose2d(3, 4, 3), (8, 8, 4), "with 4 channels"),
        (rot180.BatchNorm2d(2), (8, 8, 4), r"expected \(H, W, 2\): num_features=2"),
        (rot180.BatchNorm2d(2), (8,), r"expected \(H, W, C\)"),
        (rot180.GroupNorm(1, 2), (8, 8, 4), r"expected \(H, W, 2\): num_channels=2"),
        (rot180.LayerNorm((8, 2)), (2,), r"input_shape is \(2,\), expected .* with \(8, 2\)"),
        (rot180.GlobalAvgPool2d(), (2, 4, 4, 3), r"expected \(H, W, C\): leave out the batch"),
        (rot180.Upsample(2), (4, 4), r"expected \(H, W, C\)"),
        (rot180.MaxPool2d(2), (8,), r"expected \(H, W, C\)"),
        (rot180.Linear(3, 4), (5,), r"expected \(3,\)$"),
        (rot180.Linear(3, 4), (1, 1, 3), r"expected \(3,\): put Flatten\(\) before Linear"),
    ],
)
def test_output_shape_of_a_wrong_shape(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.output_shape(shape)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (rot180.Conv2d(1, 8, 3), "Conv2d(1, 8, 3)"),
        (
            rot180.Conv2d(4, 8, (3, 5), (2, 1), "same", 2, 4, False, activation="tanh"),
            "Conv2d(4, 8, (3, 5), stride=(2, 1), padding='same', dilation=2, groups=4, "
            "bias=False, activation='tanh')",
        ),
        (
            rot180.ConvTranspose2d(4, 8, 3, 2, 1, (1, 0), 2, False, (1, 2), algorithm="direct"),
            "ConvTranspose2d(4, 8, 3, stride=2, padding=1, output_padding=(1, 0), "
            "dilation=(1, 2), groups=2, bias=False, algorithm='direct')",
        ),
        (rot180.Linear(3, 2), "Linear(3, 2)"),
        (rot180.Linear(3, 2, False, activation="relu"), "Linear(3, 2, bias=False, "
         "activation='relu')"),
        (rot180.MaxPool2d(2), "MaxPool2d(2)"),
        (rot180.MaxPool2d(3, 2, 1), "MaxPool2d(3, stride=2, padding=1)"),
        (rot180.AvgPool2d(2, count_include_pad=False), "AvgPool2d(2, count_include_pad=False)"),
        (
            rot180.AvgPool2d((3, 2), 1, "same", True, False),
            "AvgPool2d((3, 2), stride=1, padding='same', ceil_mode=True, count_include_pad=False)",
        ),
        (rot180.MaxPool2d(3, 2, ceil_mode=True), "MaxPool2d(3, stride=2, ceil_mode=True)"),
        (rot180.MaxPool2d(2, activation="relu"), "MaxPool2d(2, activation='relu')"),
        (rot180.AdaptiveAvgPool2d((3, 1)), "AdaptiveAvgPool2d((3, 1))"),
        (rot180.GlobalAvgPool2d(), "GlobalAvgPool2d()"),
        (rot180.Upsample(2), "Upsample(2)"),
        (
            rot180.Upsample((2, 1.5), "bilinear", True),
            "Upsample((2, 1.5), mode='bilinear', align_corners=True)",
        ),
        (rot180.BatchNorm2d(4), "BatchNorm2d(4)"),
        (rot180.GroupNorm(2, 4), "GroupNorm(2, 4)"),
        (
            rot180.GroupNorm(2, 4, 1e-3, False, activation="relu"),
            "GroupNorm(2, 4, eps=0.001, affine=False, activation='relu')",
        ),
        (rot180.LayerNorm(4), "LayerNorm(4)"),
        (rot180.LayerNorm([4, 2], bias=False), "LayerNorm((4, 2), bias=False)"),
        (
            rot180.LayerNorm(4, elementwise_affine=False),
            "LayerNorm(4, elementwise_affine=False)",
        ),
        (
            rot180.BatchNorm2d(4, 1e-3, 0.5, False, activation="relu"),
            "BatchNorm2d(4, eps=0.001, momentum=0.5, affine=False, activation='relu')",
        ),
        (rot180.ZeroPad2d(((1, 0), (2, 2))), "ZeroPad2d(((1, 0), (2, 2)))"),
        (rot180.Flatten(), "Flatten()"),
        (rot180.Identity(), "Identity()"),
        (rot180.Reshape([4, 3]), "Reshape((4, 3))"),
        (rot180.Residual(rot180.ReLU()), "Residual(ReLU())"),
        (rot180.Residual(rot180.ReLU(), rot180.Tanh(), activation="relu"),
         "Residual(ReLU(), shortcut=Tanh(), activation='relu')"),
        (rot180.Concat([rot180.ReLU(), rot180.Tanh()]),
         "Concat([\n    ReLU(),\n    Tanh(),\n])"),
        (rot180.ReLU(), "ReLU()"),
        (rot180.LeakyReLU(0.2), "LeakyReLU(0.2)"),
        (rot180.ReLU6(), "ReLU6()"),
        (rot180.Sigmoid(), "Sigmoid()"),
        (rot180.Tanh(), "Tanh()"),
        (rot180.ELU(), "ELU()"),
        (rot180.ELU(0.5), "ELU(alpha=0.5)"),
        (rot180.SiLU(), "SiLU()"),
        (rot180.GELU(), "GELU()"),
        (rot180.GELU("tanh"), "GELU(approximate='tanh')"),
        (rot180.Softmax(), "Softmax()"),
        (rot180.Dropout(0.25), "Dropout(0.25)"),
    ],
)  # fmt: skip
def test_repr(layer, text):
    assert repr(layer) == text
    again = eval(text, {name: getattr(rot180, name) for name in rot180.layers.__all__})
    assert repr(again) == text


def test_parameters_have_the_shapes_that_the_arguments_say():
    conv = rot180.Conv2d(4, 6, (3, 2), groups=2, dtype=np.float64)
    assert [(p.name, p.value.shape) for p in conv.parameters()] == [
        ("weight", (3, 2, 2, 6)),
        ("bias", (6,)),
    ]
    assert {p.value.dtype for p in conv.parameters()} == {np.dtype(np.float64)}
    assert not conv.bias.value.any()
    up = rot180.ConvTranspose2d(4, 6, (3, 2), groups=2)
    assert [(p.name, p.value.shape) for p in up.parameters()] == [
        ("weight", (3, 2, 3, 4)),
        ("bias", (6,)),
    ]
    linear = rot180.Linear(4, 6, bias=False)
    assert [(p.name, p.value.shape) for p in linear.parameters()] == [("weight", (4, 6))]
    assert linear.bias is None


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (None, "he_normal"),
        ("relu", "he_normal"),
        ("relu6", "he_normal"),
        ("leaky_relu", "he_normal"),
        ("sigmoid", "xavier_uniform"),
        ("tanh", "xavier_uniform"),
    ],
)
def test_the_initializer_follows_the_activation(activation, name):
    draw = getattr(rot180.init, name)
    conv = rot180.Conv2d(2, 3, 3, activation=activation, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(
        conv.weight.value, draw((3, 3, 2, 3), rng=np.random.default_rng(5))
    )
    linear = rot180.Linear(2, 3, activation=activation, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(linear.weight.value, draw((2, 3), rng=np.random.default_rng(5)))


def test_an_initializer_of_ones_own():
    def eye(shape, *, rng, dtype):
        return np.eye(*shape)  # float64, whatever the dtype

    linear = rot180.Linear(3, 3, initializer=eye)
    assert linear.weight.value.dtype == np.float32
    assert linear.weight.value.tolist() == np.eye(3).tolist()


def test_layers_without_a_generator_differ():
    one, other = rot180.Linear(4, 4), rot180.Linear(4, 4)
    assert (one.weight.value != other.weight.value).any()


def test_flatten_keeps_the_order_of_the_pixels():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    assert rot180.Flatten().forward(x).tolist() == x.reshape(2, 12).tolist()
