"""Every layer's backward, through the public layer API, against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from finite_differences import numerical_gradient
from rot180 import reference

RNG_SEED = 180

# Each name: the layer and the shape of one sample. H != W, KH != KW, sh != sw, top != bottom, a
# remainder, C != K: what tells mistakes apart.
CASES = {
    "conv2d": (
        lambda rng: rot180.Conv2d(
            2, 3, (3, 2), (2, 1), ((1, 0), (2, 1)), rng=rng, dtype=np.float64
        ),
        (6, 5, 2),
    ),
    "conv2d dilated groups": (
        lambda rng: rot180.Conv2d(
            4, 6, (2, 3), 1, "same", (2, 1), 2, rng=rng, dtype=np.float64, activation="tanh"
        ),
        (5, 4, 4),
    ),
    "conv2d without bias": (
        lambda rng: rot180.Conv2d(2, 3, 2, bias=False, rng=rng, dtype=np.float64),
        (3, 4, 2),
    ),
    "conv2d depthwise": (
        lambda rng: rot180.Conv2d(3, 3, 3, groups=3, padding=1, rng=rng, dtype=np.float64),
        (4, 5, 3),
    ),
    **{
        f"conv2d {activation}": (
            lambda rng, activation=activation: rot180.Conv2d(
                2, 3, (2, 3), activation=activation, rng=rng, dtype=np.float64
            ),
            (4, 5, 2),
        )
        for activation in ("relu", "relu6", "leaky_relu", "sigmoid", "tanh")
    },
    "conv_transpose2d": (
        lambda rng: rot180.ConvTranspose2d(
            2, 3, (3, 2), (2, 3), ((1, 0), (0, 1)), (1, 2), rng=rng, dtype=np.float64
        ),
        (3, 4, 2),
    ),
    "conv_transpose2d dilated groups without bias": (
        lambda rng: rot180.ConvTranspose2d(
            4, 6, (2, 3), (1, 2), "same", 0, 2, False, (2, 1), rng=rng, dtype=np.float64
        ),
        (4, 3, 4),
    ),
    **{
        f"conv_transpose2d {activation}": (
            lambda rng, activation=activation: rot180.ConvTranspose2d(
                2, 3, (2, 3), 2, 1, activation=activation, rng=rng, dtype=np.float64
            ),
            (3, 4, 2),
        )
        for activation in ("relu", "relu6", "leaky_relu", "sigmoid", "tanh")
    },
    "linear": (lambda rng: rot180.Linear(4, 3, rng=rng, dtype=np.float64), (4,)),
    "linear without bias": (
        lambda rng: rot180.Linear(4, 3, bias=False, rng=rng, dtype=np.float64),
        (4,),
    ),
    **{
        f"linear {activation}": (
            lambda rng, activation=activation: rot180.Linear(
                4, 3, activation=activation, rng=rng, dtype=np.float64
            ),
            (4,),
        )
        for activation in ("relu", "relu6", "leaky_relu", "sigmoid", "tanh")
    },
    "max_pool2d": (lambda rng: rot180.MaxPool2d((3, 2), (2, 1), (1, 0)), (6, 5, 2)),
    "avg_pool2d": (lambda rng: rot180.AvgPool2d((3, 2), (2, 1), (1, 0)), (6, 5, 2)),
    "avg_pool2d without padding's zeros": (
        lambda rng: rot180.AvgPool2d(3, 2, 1, count_include_pad=False),
        (6, 5, 2),
    ),
    "max_pool2d beyond the image": (
        lambda rng: rot180.MaxPool2d(2, 3, ceil_mode=True),
        (7, 4, 2),
    ),
    "max_pool2d with an activation": (
        lambda rng: rot180.MaxPool2d(2, activation="tanh"),
        (4, 6, 3),
    ),
    "max_pool2d of many taps": (lambda rng: rot180.MaxPool2d((17, 16), 1), (18, 17, 1)),
    "avg_pool2d beyond the image": (
        lambda rng: rot180.AvgPool2d((3, 2), 2, 1, ceil_mode=True),
        (5, 6, 2),
    ),
    "adaptive_avg_pool2d": (lambda rng: rot180.AdaptiveAvgPool2d((3, 4)), (5, 6, 2)),
    "global_avg_pool2d": (lambda rng: rot180.GlobalAvgPool2d(), (3, 4, 2)),
    "upsample 2d": (lambda rng: rot180.Upsample((2, 1.5)), (3, 4, 2)),
    "upsample 2d, to fewer": (lambda rng: rot180.Upsample(0.5), (5, 4, 2)),
    "upsample 2d bilinear": (lambda rng: rot180.Upsample((2, 1.7), "bilinear"), (3, 4, 2)),
    "upsample 2d bilinear, corners aligned": (
        lambda rng: rot180.Upsample(2, "bilinear", align_corners=True),
        (3, 4, 2),
    ),
    "identity": (lambda rng: rot180.Identity(), (3, 4)),
    "reshape": (lambda rng: rot180.Reshape((2, 6)), (3, 4)),
    "residual": (
        lambda rng: rot180.Residual(
            rot180.Conv2d(2, 2, (3, 5), padding="same", rng=rng, dtype=np.float64)
        ),
        (4, 5, 2),
    ),
    "residual that ends with batch_norm": (
        lambda rng: rot180.Residual(
            rot180.Sequential(
                [
                    rot180.Conv2d(2, 2, 3, padding=1, bias=False, rng=rng, dtype=np.float64),
                    rot180.BatchNorm2d(2, dtype=np.float64),
                ]
            ),
            activation="relu",
        ),
        (4, 5, 2),
    ),
    "residual with shortcut and activation": (
        lambda rng: rot180.Residual(
            rot180.Sequential(
                [
                    rot180.Conv2d(2, 4, 3, 2, 1, activation="tanh", rng=rng, dtype=np.float64),
                    rot180.Conv2d(4, 3, 3, padding=1, rng=rng, dtype=np.float64),
                ]
            ),
            rot180.Conv2d(2, 3, 1, 2, rng=rng, dtype=np.float64),
            activation="relu",
        ),
        (5, 6, 2),
    ),
    "concat": (
        lambda rng: rot180.Concat(
            [
                rot180.Conv2d(2, 3, 3, padding=1, rng=rng, dtype=np.float64),
                rot180.Identity(),
                rot180.Conv2d(2, 1, 1, rng=rng, dtype=np.float64),
            ]
        ),
        (4, 3, 2),
    ),
    "batch_norm2d": (lambda rng: rot180.BatchNorm2d(3, dtype=np.float64), (3, 2, 3)),
    "batch_norm2d without weight and bias": (
        lambda rng: rot180.BatchNorm2d(3, eps=0.1, affine=False, dtype=np.float64),
        (3, 2, 3),
    ),
    **{
        f"batch_norm2d {activation}": (
            lambda rng, activation=activation: rot180.BatchNorm2d(
                3, activation=activation, dtype=np.float64
            ),
            (3, 2, 3),
        )
        for activation in ("relu", "leaky_relu", "sigmoid", "tanh")
    },
    "batch_norm2d between convolutions": (
        lambda rng: rot180.Sequential(
            [
                rot180.Conv2d(2, 3, 3, bias=False, rng=rng, dtype=np.float64),
                rot180.BatchNorm2d(3, activation="leaky_relu", dtype=np.float64),
                rot180.Conv2d(3, 2, 2, rng=rng, dtype=np.float64),
            ]
        ),
        (5, 6, 2),
    ),
    "group_norm 2d": (lambda rng: rot180.GroupNorm(2, 6, dtype=np.float64), (3, 2, 6)),
    "group_norm 2d without weight and bias": (
        lambda rng: rot180.GroupNorm(3, 6, 0.1, False, dtype=np.float64),
        (3, 2, 6),
    ),
    **{
        f"group_norm 2d {activation}": (
            lambda rng, activation=activation: rot180.GroupNorm(
                2, 4, activation=activation, dtype=np.float64
            ),
            (3, 2, 4),
        )
        for activation in ("relu", "relu6", "leaky_relu", "sigmoid", "tanh")
    },
    "layer_norm of pixels": (lambda rng: rot180.LayerNorm(5, dtype=np.float64), (3, 2, 5)),
    "layer_norm of images, 2d": (
        lambda rng: rot180.LayerNorm((3, 2, 4), activation="tanh", dtype=np.float64),
        (3, 2, 4),
    ),
    "layer_norm of vectors, without bias": (
        lambda rng: rot180.LayerNorm(7, bias=False, activation="relu", dtype=np.float64),
        (7,),
    ),
    "layer_norm without weight and bias": (
        lambda rng: rot180.LayerNorm([3, 4], 0.1, False, dtype=np.float64),
        (3, 4),
    ),
    "zero_pad2d": (lambda rng: rot180.ZeroPad2d(((1, 2), (0, 3))), (3, 4, 2)),
    "flatten": (lambda rng: rot180.Flatten(), (3, 4, 2)),
    "relu": (lambda rng: rot180.ReLU(), (3, 4, 2)),
    "leaky_relu": (lambda rng: rot180.LeakyReLU(0.3), (5,)),
    "sigmoid": (lambda rng: rot180.Sigmoid(), (3, 4, 2)),
    "tanh": (lambda rng: rot180.Tanh(), (5,)),
    "relu6": (lambda rng: rot180.ReLU6(), (3, 4, 2)),
    "elu": (lambda rng: rot180.ELU(0.7), (3, 4, 2)),
    "silu": (lambda rng: rot180.SiLU(), (3, 4, 2)),
    "gelu": (lambda rng: rot180.GELU(), (3, 4, 2)),
    "gelu by tanh": (lambda rng: rot180.GELU("tanh"), (3, 4, 2)),
    "softmax": (lambda rng: rot180.Softmax(), (3, 4, 5)),
    "sequential": (
        lambda rng: rot180.Sequential(
            [
                rot180.ZeroPad2d(1),
                rot180.Conv2d(2, 3, 3, activation="relu", rng=rng, dtype=np.float64),
                rot180.MaxPool2d(2),
                rot180.Sequential([rot180.Conv2d(3, 4, 2, rng=rng, dtype=np.float64)]),
                rot180.Tanh(),
                rot180.Flatten(),
                rot180.Linear(8, 3, rng=rng, dtype=np.float64),
            ]
        ),
        (6, 5, 2),
    ),
}


def build(name):
    rng = np.random.default_rng(RNG_SEED)
    make, sample_shape = CASES[name]
    layer = make(rng)
    for parameter in layer.parameters():  # biases too, which start as zeros
        parameter.value = rng.normal(size=parameter.value.shape)
    return layer, rng.normal(size=(3, *sample_shape)), rng


def leaves(layer):
    return [leaf for child in layer.children().values() for leaf in leaves(child)] or [layer]


def backward_mismatches(layer, x, dy):
    """Names of the gradients that disagree with finite differences of sum(y * dy)."""
    layer.zero_grad()
    layer.forward(x, training=True)
    dx = layer.backward(dy)
    wrong = []
    expected = numerical_gradient(
        lambda values: float(np.sum(layer.forward(values, training=True) * dy)), x
    )
    if not agree(dx, expected):
        wrong.append("dx")
    for name, parameter in layer.named_parameters().items():
        original = parameter.value.copy()

        def loss(values, parameter=parameter):
            parameter.value = values
            return float(np.sum(layer.forward(x, training=True) * dy))

        expected = numerical_gradient(loss, original.copy())
        parameter.value = original
        if not agree(parameter.grad, expected):
            wrong.append(name)
    return wrong


def agree(gradient, expected):
    assert np.linalg.norm(expected) > 0.01, "a gradient of zeros would prove nothing"
    if gradient.shape != expected.shape:
        return False
    error = np.linalg.norm(gradient - expected)
    return error <= 1e-6 * (np.linalg.norm(gradient) + np.linalg.norm(expected))


@pytest.mark.parametrize("name", CASES)
def test_backward_agrees_with_finite_differences(name):
    layer, x, rng = build(name)
    dy = rng.normal(size=layer.forward(x).shape)
    assert backward_mismatches(layer, x, dy) == []


def zero_bias(dw, bias_out):
    bias_out[...] = 0
    return dw


# How a gradient goes wrong: by an option that is not the forward pass's, or in its result.
MISTAKES = {
    "another activation": (["dx", "weight", "bias"], {"activation": "tanh"}, None),
    "no activation": (["dx", "weight", "bias"], {"activation": None, "y": None}, None),
    "no bias": (["bias"], {}, zero_bias),
    "mean of dw": (["weight"], {}, lambda dw, bias_out: dw / 3),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_rejects_mistakes(mistake, monkeypatch):
    layer, x, rng = build("conv2d sigmoid")
    dy = rng.normal(size=layer.forward(x).shape)
    expected, options, change = MISTAKES[mistake]
    grad_input, grad_weight = (
        rot180.functional.conv2d_grad_input,
        rot180.functional.conv2d_grad_weight,
    )

    def wrong_grad_weight(*arguments, bias_out, **right):
        dw = grad_weight(*arguments, bias_out=bias_out, **(right | options))
        return change(dw, bias_out) if change else dw

    def wrong_grad_input(*arguments, **right):
        return grad_input(*arguments, **(right | options))

    monkeypatch.setattr(rot180.functional, "conv2d_grad_weight", wrong_grad_weight)
    monkeypatch.setattr(rot180.functional, "conv2d_grad_input", wrong_grad_input)
    assert backward_mismatches(layer, x, dy) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_shapes_and_dtypes(name, dtype):
    layer, x, _ = build(name)
    for parameter in layer.parameters():
        parameter._value = parameter.value.astype(dtype)
    for leaf in leaves(layer):
        for buffer, value in leaf.named_buffers().items():
            setattr(leaf, buffer, value.astype(dtype))
    x = x.astype(dtype)
    y = layer.forward(x, training=True)
    assert y.dtype == dtype
    assert y.shape == (3, *layer.output_shape(x.shape[1:]))
    dx = layer.backward(np.ones_like(y))
    assert (dx.shape, dx.dtype) == (x.shape, dtype)
    for parameter in layer.parameters():
        assert (parameter.grad.shape, parameter.grad.dtype) == (parameter.value.shape, dtype)


@pytest.mark.parametrize("name", CASES)
def test_an_empty_batch(name):
    layer, x, _ = build(name)
    y = layer.forward(x[:0], training=True)
    assert y.shape == (0, *layer.output_shape(x.shape[1:]))
    assert layer.backward(y).shape == x[:0].shape
    for parameter in layer.parameters():
        assert not parameter.grad.any()


@pytest.mark.parametrize("name", [name for name in CASES if "2d" in name])
def test_one_image_is_a_batch_of_one_without_its_axis(name):
    layer, x, rng = build(name)
    batch = layer.forward(x[:1], training=True)
    dy = rng.normal(size=batch.shape)
    dx = layer.backward(dy)
    image = layer.forward(x[0], training=True)
    np.testing.assert_array_equal(image, batch[0])
    np.testing.assert_array_equal(layer.backward(dy[0]), dx[0])


@pytest.mark.parametrize("name", CASES)
def test_training_does_not_change_y(name):
    layer, x, _ = build(name)
    if layer.named_buffers():
        return  # y is meant to go by the batch in training, by running statistics else
    np.testing.assert_array_equal(layer.forward(x), layer.forward(x, training=True))


@pytest.mark.parametrize("name", CASES)
def test_backward_needs_a_forward_of_its_own(name):
    layer, x, _ = build(name)
    y = layer.forward(x)
    with pytest.raises(RuntimeError, match=r"call it first, once before each backward"):
        layer.backward(y)
    layer.forward(x, training=True)
    layer.backward(y)
    with pytest.raises(RuntimeError, match=r"forward\(x, training=True\)"):
        layer.backward(y)  # what was saved is released


@pytest.mark.parametrize("name", CASES)
def test_input_grad_false_leaves_out_dx_only(name):
    layer, x, rng = build(name)
    dy = rng.normal(size=layer.forward(x, training=True).shape)
    layer.backward(dy)
    grads = [parameter.grad.copy() for parameter in layer.parameters()]
    layer.zero_grad()
    layer.forward(x, training=True)
    assert layer.backward(dy, input_grad=False) is None
    for parameter, grad in zip(layer.parameters(), grads, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


@pytest.mark.parametrize("name", CASES)
def test_gradients_accumulate_until_zero_grad(name):
    layer, x, rng = build(name)
    dy = rng.normal(size=layer.forward(x).shape)

    def once():
        layer.forward(x, training=True)
        layer.backward(dy)

    once()
    single = [parameter.grad.copy() for parameter in layer.parameters()]
    once()
    for parameter, grad in zip(layer.parameters(), single, strict=True):
        np.testing.assert_array_equal(parameter.grad, 2 * grad)
    layer.zero_grad()
    for parameter in layer.parameters():
        assert not parameter.grad.any()
    once()
    for parameter, grad in zip(layer.parameters(), single, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


@pytest.mark.parametrize("name", CASES)
def test_dy_of_another_shape_is_refused(name):
    layer, x, _ = build(name)
    y = layer.forward(x, training=True)
    with pytest.raises(ValueError, match="dy"):
        layer.backward(np.zeros((*y.shape[:-1], y.shape[-1] + 1)))
    for parameter in layer.parameters():
        assert not parameter.grad.any()


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
def test_conv2d_against_reference(activation):
    rng = np.random.default_rng(1)
    options = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2}
    conv = rot180.Conv2d(4, 6, (3, 2), activation=activation, rng=rng, dtype=np.float64, **options)
    conv.bias.value = rng.normal(size=6)
    x = rng.normal(size=(2, 7, 6, 4))
    weight, bias = conv.weight.value, conv.bias.value
    expected = reference.conv2d(x, weight, bias, activation=activation, **options)
    y = conv.forward(x, training=True)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-13)

    dy = rng.normal(size=y.shape)
    dx = conv.backward(dy)
    if activation:
        dy = getattr(reference, f"{activation}_grad_input")(dy, expected)
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(
        dx, reference.conv2d_grad_input(dy, weight, x.shape, **options), **close
    )
    np.testing.assert_allclose(
        conv.weight.grad, reference.conv2d_grad_weight(x, dy, (3, 2), **options), **close
    )
    np.testing.assert_allclose(conv.bias.grad, reference.conv2d_grad_bias(dy), **close)


def test_conv_transpose2d_goes_the_way_back_of_the_conv2d_with_its_weight():
    """<up(x), z> = <x, down(z)>, and up's gradients are down's with x and dy exchanged."""
    rng = np.random.default_rng(2)
    options = {"stride": 2, "padding": 1, "bias": False, "rng": rng, "dtype": np.float64}
    down, up = rot180.Conv2d(3, 5, 4, **options), rot180.ConvTranspose2d(5, 3, 4, **options)
    up.weight.value = down.weight.value
    x, z = rng.normal(size=(2, 4, 3, 5)), rng.normal(size=(2, 8, 6, 3))
    close = {"rtol": 1e-12, "atol": 1e-12}
    y = up.forward(x, training=True)
    np.testing.assert_allclose(np.vdot(y, z), np.vdot(x, down.forward(z, training=True)), **close)
    np.testing.assert_allclose(up.backward(z), down.forward(z), **close)
    np.testing.assert_allclose(down.backward(x), y, **close)
    np.testing.assert_allclose(up.weight.grad, down.weight.grad, **close)
    assert np.abs(up.weight.grad).min() > 0


FUSED = {
    "relu": rot180.ReLU,
    "relu6": rot180.ReLU6,
    "leaky_relu": rot180.LeakyReLU,
    "sigmoid": rot180.Sigmoid,
    "tanh": rot180.Tanh,
}


@pytest.mark.parametrize("activation", FUSED)
@pytest.mark.parametrize("kind", ["conv2d", "conv_transpose2d", "linear"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_activation_is_the_layer_after(activation, kind, dtype):
    def build_pair(activation):
        rng = np.random.default_rng(3)
        options = {
            "rng": rng,
            "dtype": dtype,
            "activation": activation,
            "initializer": rot180.init.he_normal,
        }
        if kind == "conv2d":
            return rot180.Conv2d(2, 3, 3, padding=1, **options), (2, 5, 4, 2)
        if kind == "conv_transpose2d":
            return rot180.ConvTranspose2d(2, 3, 3, stride=2, **options), (2, 3, 4, 2)
        return rot180.Linear(7, 3, **options), (4, 7)

    fused, shape = build_pair(activation)
    plain, _ = build_pair(None)
    separate = rot180.Sequential([plain, FUSED[activation]()])
    rng = np.random.default_rng(4)
    x = rng.normal(size=shape).astype(dtype)
    y = fused.forward(x, training=True)
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, separate.forward(x, training=True), rtol=0, atol=tolerance)
    dy = rng.normal(size=y.shape).astype(dtype)
    close = {"rtol": 0, "atol": 200 * tolerance}
    np.testing.assert_allclose(fused.backward(dy), separate.backward(dy), **close)
    for one, other in zip(fused.parameters(), separate.parameters(), strict=True):
        assert one.grad.any()
        np.testing.assert_allclose(one.grad, other.grad, **close)
