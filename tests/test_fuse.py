"""`fuse`: fewer layers that compute the same, and the model it is made from stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from rot180.layers import BatchNorm2d, Conv2d, ConvTranspose2d
from rot180.models import MODELS

DTYPES = [np.float32, np.float64]


def leaves(model):
    return [layer for _, layer in model.leaves()]


def trained(model, rng):
    """The model with weights and statistics as a training leaves them: none is its first value."""
    for leaf in leaves(model):
        if isinstance(leaf, BatchNorm2d):
            if leaf.weight:
                leaf.weight.value = rng.uniform(0.5, 1.5, leaf.num_features).astype(
                    leaf.weight.value.dtype
                )
                leaf.bias.value = rng.normal(0, 0.2, leaf.num_features).astype(
                    leaf.bias.value.dtype
                )
            leaf.running_mean[...] = rng.normal(0, 0.2, leaf.num_features)
            leaf.running_var[...] = rng.uniform(0.5, 2, leaf.num_features)
    return model


def assert_same_function(model, fused, x, epsilons=200):
    expected, y = model.forward(x), fused.forward(x)
    assert y.dtype == expected.dtype
    assert np.abs(expected).max() > 1e-3
    atol = epsilons * np.finfo(x.dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(y, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_the_zoo(name, dtype):
    rng = np.random.default_rng(0)
    model = trained(rot180.models.build(name, rng=rng, dtype=dtype), rng)
    before = {key: p.value.copy() for key, p in model.named_parameters().items()}
    layers, text = leaves(model), repr(model)
    fused = model.fuse()
    norms = sum(isinstance(leaf, BatchNorm2d) for leaf in layers)
    assert not any(isinstance(leaf, BatchNorm2d) for leaf in leaves(fused))
    assert len(leaves(fused)) == len(layers) - norms
    x = rng.normal(size=(3, *rot180.models.input_shape(name))).astype(dtype)
    # Each layer rounds anew, and each winograd one more than others.
    assert_same_function(model, fused, x, epsilons=100 * len(layers))
    assert repr(model) == text
    for key, parameter in model.named_parameters().items():
        np.testing.assert_array_equal(parameter.value, before[key])
    for parameter in fused.parameters():
        for other in model.parameters():
            assert not np.shares_memory(parameter.value, other.value)


def norm(features, dtype=np.float64, **options):
    layer = BatchNorm2d(features, dtype=dtype, **options)
    return trained(rot180.Sequential([layer]), np.random.default_rng(features))[0]


CONVOLUTIONS = {
    "conv2d": lambda **o: Conv2d(4, 6, (3, 2), 2, 1, **o),
    "conv2d grouped": lambda **o: Conv2d(4, 6, 3, groups=2, **o),
    "conv2d depthwise": lambda **o: Conv2d(4, 4, 3, groups=4, **o),
    "conv_transpose2d": lambda **o: ConvTranspose2d(4, 6, (3, 2), 2, 1, **o),
    "conv_transpose2d grouped": lambda **o: ConvTranspose2d(4, 6, 3, 2, groups=2, **o),
    "conv_transpose2d depthwise": lambda **o: ConvTranspose2d(4, 4, 3, 2, groups=4, **o),
}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_every_convolution(name, activation, bias, affine):
    rng = np.random.default_rng(0)
    conv = CONVOLUTIONS[name](bias=bias, rng=rng, dtype=np.float64)
    if conv.bias:
        conv.bias.value = rng.normal(size=conv.out_channels)
    model = rot180.Sequential(
        [conv, norm(conv.out_channels, eps=0.1, affine=affine, activation=activation)]
    )
    (one,) = fused = model.fuse()
    assert (type(one), one.activation) == (type(conv), activation)
    assert_same_function(model, fused, rng.normal(size=(2, 5, 6, 4)), epsilons=30)


@pytest.mark.parametrize(
    ("layer", "activation"),
    [
        (rot180.ReLU, "relu"),
        (rot180.ReLU6, "relu6"),
        (rot180.LeakyReLU, "leaky_relu"),
        (rot180.Sigmoid, "sigmoid"),
        (rot180.Tanh, "tanh"),
    ],
)
def test_activations_go_into_the_layer_before(layer, activation):
    rng = np.random.default_rng(0)
    options = {"rng": rng, "dtype": np.float64}
    model = rot180.Sequential(
        [
            *(Conv2d(2, 3, 3, **options), norm(3), layer()),
            *(Conv2d(3, 3, 1, **options), layer()),
            *(rot180.MaxPool2d(2), norm(3), layer()),
            *(rot180.MaxPool2d(1), layer()),
            *(rot180.Flatten(), rot180.Linear(12, 5, **options), layer()),
        ]
    )
    fused = model.fuse()
    assert [type(leaf) for leaf in fused] == [
        *(Conv2d, Conv2d, rot180.MaxPool2d, BatchNorm2d),
        *(rot180.MaxPool2d, rot180.Flatten, rot180.Linear),
    ]
    found = [leaf.activation for leaf in fused if hasattr(leaf, "activation")]
    assert found == [activation, activation, None, activation, activation, activation]
    assert_same_function(model, fused, rng.normal(size=(2, 6, 6, 2)), epsilons=30)


class Doubled(Conv2d):
    def forward(self, x, training=False):
        return 2 * super().forward(x, training)


@pytest.mark.parametrize(
    "layers",
    [
        [Conv2d(2, 3, 3, activation="relu", dtype=np.float64), norm(3)],
        [Conv2d(2, 3, 3, activation="relu", dtype=np.float64), rot180.Sigmoid()],
        [Doubled(2, 3, 3, dtype=np.float64), norm(3)],
        [Conv2d(2, 3, 3, dtype=np.float64), rot180.LeakyReLU(0.2)],
        [Conv2d(2, 3, 3, dtype=np.float64), rot180.GELU()],
        [Conv2d(2, 3, 3, dtype=np.float64), rot180.GroupNorm(1, 3, dtype=np.float64)],
        [rot180.MaxPool2d(2), norm(2)],
        [norm(2), Conv2d(2, 3, 3, dtype=np.float64)],
    ],
    ids=lambda layers: " ".join(map(repr, layers)),
)
def test_what_one_layer_cannot_do_stays(layers):
    model = rot180.Sequential(layers)
    fused = model.fuse()
    assert list(map(repr, fused)) == list(map(repr, layers))
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 2))
    np.testing.assert_array_equal(fused.forward(x), model.forward(x))


def test_what_does_not_fit_fails_as_before():
    for layers in (
        [Conv2d(2, 3, 3), BatchNorm2d(4)],
        [Conv2d(2, 3, 3), BatchNorm2d(3, dtype=np.float64)],
    ):
        fused = rot180.Sequential(layers).fuse()
        assert len(fused) == 2
        with pytest.raises((ValueError, TypeError), match="layer 1, BatchNorm2d"):
            fused.forward(np.ones((1, 5, 5, 2), np.float32))


class Scaled(rot180.Container):
    def __init__(self, f):
        super().__init__({"f": f})
        self.f = f

    def forward(self, x, training=False):
        with self.named_errors("f"):
            return 3 * self.f.forward(x, training)

    def backward(self, dy, *, input_grad=True):
        return self.f.backward(3 * dy, input_grad=input_grad)

    def output_shape(self, input_shape):
        return self.f.output_shape(input_shape)


def nested(rng):
    options = {"rng": rng, "dtype": np.float64}

    def block(activation):
        return rot180.Sequential(
            [Conv2d(2, 2, 3, padding=1, **options), norm(2, activation=activation)]
        )

    return rot180.Sequential(
        [
            Scaled(block("relu")),
            rot180.Residual(block(None), block(None), activation="relu"),
            rot180.Concat([rot180.Identity(), block("tanh"), rot180.Dropout(0.5, rng=rng)]),
        ]
    )


def test_containers_inside_one_another():
    rng = np.random.default_rng(0)
    model = nested(rng)
    fused = model.fuse()
    assert not any(isinstance(leaf, BatchNorm2d) for leaf in leaves(fused))
    assert_same_function(model, fused, rng.normal(size=(2, 5, 6, 2)), epsilons=100)
    names = ["0.f.0", "1.body.0", "1.shortcut.0", "2.1.0"]
    assert list(fused.named_parameters()) == [
        f"{name}.{parameter}" for name in names for parameter in ("weight", "bias")
    ]
    assert [p.name for p in fused.parameters()] == list(fused.named_parameters())
    with pytest.raises(ValueError, match=r"layer 0, Scaled: layer f, Sequential: layer 0, Conv2d"):
        fused.forward(np.ones((1, 4, 4, 3)))


def test_a_model_in_the_midst_of_training_is_left_alone():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 6, 2))
    models = [nested(np.random.default_rng(1)) for _ in range(2)]
    for model in models:
        y = model.forward(x, training=True)
        model.backward(y)
        model.forward(x, training=True)
    models[0].fuse()
    for model in models:
        model.backward(np.ones_like(y))
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)


def test_the_copy_is_an_ordinary_model(tmp_path):
    rng = np.random.default_rng(0)
    model = nested(rng)
    model.forward(x := rng.normal(size=(4, 5, 6, 2)), training=True)
    fused = model.fuse()
    assert all(not parameter.grad.any() for parameter in fused.parameters())
    with pytest.raises(RuntimeError, match="call it first"):
        fused.backward(x)
    rot180.io.save_weights(tmp_path / "weights", fused)
    other = nested(np.random.default_rng(5)).fuse()
    rot180.io.load_weights(tmp_path / "weights", other)
    np.testing.assert_array_equal(other.forward(x), fused.forward(x))
    fused.backward(fused.forward(x, training=True))
    rot180.optim.SGD(fused.parameters(), lr=0.1).step()
    assert not np.allclose(other.forward(x), fused.forward(x))


def test_a_norm_folded_twice_and_fusing_what_is_fused():
    rng = np.random.default_rng(0)
    model = rot180.Sequential(
        [Conv2d(2, 3, 3, rng=rng, dtype=np.float64), norm(3), norm(3), rot180.ReLU()]
    )
    fused = model.fuse()
    assert len(fused) == 1
    x = rng.normal(size=(2, 6, 6, 2))
    assert_same_function(model, fused, x, epsilons=30)
    np.testing.assert_array_equal(fused.fuse().forward(x), fused.forward(x))
    assert len(rot180.Sequential([]).fuse()) == 0
