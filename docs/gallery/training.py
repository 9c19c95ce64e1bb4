"""What a mistake does to a training: a small network on the digits, with one part of it wrong.

Two convolutions, a dense layer, softmax. Everything is deterministic, so that the only difference
between two runs is the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from exhibits import Exhibit
from threadpoolctl import threadpool_limits

import rot180
from rot180 import functional
from rot180.layers import Parameter

STEPS, BATCH = 200, 64
FILTERS = (8, 16)


@dataclass(frozen=True)
class Geometry:
    """Of the second convolution, and what follows it."""

    stride: int = 1
    padding: int = 1
    dilation: int = 1
    groups: int = 1
    pool: str = ""
    activation: str = "relu"


@dataclass(frozen=True)
class Parts:
    """The parts of a training that may be wrong; the default of each is right."""

    geometry: Geometry = Geometry()
    backward: Callable[..., Any] | None = None
    activation_backward: Callable[..., Any] | None = None
    pool_backward: Callable[..., Any] | None = None
    loss_backward: Callable[..., Any] | None = None
    optimizer: str = "sgd"
    step: Callable[..., Any] | None = None
    adam_layer: Callable[..., Any] | None = None
    model: Callable[..., Any] | None = None
    lr: float = 0.1
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Run:
    """A training: the loss at each step, the held-out accuracy, and why it stopped if it did."""

    losses: list[float]
    accuracy: float
    stopped: str = ""

    @property
    def loss(self) -> float:
        """The mean of the last ten."""
        return sum(self.losses[-10:]) / max(1, len(self.losses[-10:]))


def parts_with(exhibit: Exhibit) -> Parts:
    """Return a training in which an exhibit takes the place of the right part."""
    function = exhibit.function
    if exhibit.kind == "backward":
        return Parts(_GEOMETRIES.get(exhibit.code, Geometry()), backward=_in_our_layout(exhibit))
    if exhibit.kind == "sigmoid_backward":
        sigmoid = Geometry(activation="sigmoid")
        return Parts(sigmoid, activation_backward=function, optimizer="adam", lr=0.01)
    if exhibit.kind in ("max_pool_backward", "avg_pool_backward"):
        return Parts(Geometry(pool=exhibit.kind[:3]), pool_backward=function, lr=1.0)
    if exhibit.kind == "softmax_cross_entropy_backward":
        return Parts(loss_backward=function)
    if exhibit.kind == "sgd_step":
        return Parts(step=function)
    if exhibit.kind == "Model":
        return Parts(model=function, lr=1.0)
    if exhibit.kind == "adam_layer":
        return Parts(optimizer="adam", adam_layer=function, lr=0.005)
    decay = 0.1 if exhibit.kind == "adamw_step" else 0.0
    return Parts(optimizer="adam", step=function, lr=0.02, weight_decay=decay)


def without_mistake(parts: Parts) -> Parts:
    """Return the same training with every part right."""
    if parts.model is not None:
        return Parts(model=_SoftmaxRegression, lr=parts.lr)
    return Parts(
        parts.geometry, optimizer=parts.optimizer, lr=parts.lr, weight_decay=parts.weight_decay
    )


# Where the usual network cannot show a mistake.
_GEOMETRIES = {
    "M12": Geometry(stride=2),
    "M13": Geometry(stride=2, padding=0),
    "M15": Geometry(padding=2, dilation=2),
    "M18": Geometry(groups=2),
}


def _in_our_layout(exhibit: Exhibit) -> Callable[..., Any]:
    if "layout" not in exhibit.options:
        return exhibit.function

    def backward(x: Any, w: Any, dy: Any, *options: int) -> tuple[Any, Any, Any]:
        dx, dw, db = exhibit.function(
            x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), dy.transpose(0, 3, 1, 2), *options
        )
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db

    return backward


@lru_cache
def _digits() -> rot180.data.ImageData:
    return rot180.data.load_digits()


def _batches() -> Iterator[tuple[Any, Any]]:
    digits, order = _digits(), np.random.default_rng(0)
    for _ in range(STEPS):
        chosen = order.choice(len(digits.x_train), BATCH, replace=False)
        yield digits.x_train[chosen].astype(float), digits.y_train[chosen]


class _Network:
    """Convolution, activation, convolution, activation, maybe pooling, dense."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        geometry = parts.geometry
        self.options = [
            {"stride": 2, "padding": 1},
            {name: getattr(geometry, name) for name in ("stride", "padding", "dilation", "groups")},
        ]
        rng = np.random.default_rng(1)
        first, second = FILTERS
        shapes = [(3, 3, 1, first), (3, 3, first // geometry.groups, second)]
        self.weights = [
            rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:3])) for shape in shapes
        ]
        self.biases = [np.zeros(n) for n in FILTERS]
        features = self._features(np.zeros((1, 8, 8, 1)))[-1].size
        self.dense = rng.normal(size=(features, 10)) * np.sqrt(1 / features)
        self.dense_bias = np.zeros(10)
        self.met: list[tuple[Any, Any]] = []  # of each convolution, x and dy of the last batch

    @property
    def tensors(self) -> list[Any]:
        return [
            *(t for layer in zip(self.weights, self.biases, strict=True) for t in layer),
            self.dense,
            self.dense_bias,
        ]

    def _features(self, x: Any) -> list[Any]:
        """The output of each step, x first."""
        outputs = [x]
        for w, b, options in zip(self.weights, self.biases, self.options, strict=True):
            activation = self.parts.geometry.activation
            outputs.append(functional.conv2d(outputs[-1], w, b, activation=activation, **options))
        pool = self.parts.geometry.pool
        if pool:
            outputs.append(getattr(functional, f"{pool}_pool2d")(outputs[-1], 2))
        return outputs

    def logits(self, x: Any) -> Any:
        features = self._features(x)[-1]
        return features.reshape(len(x), -1) @ self.dense + self.dense_bias

    def gradients(self, x: Any, labels: Any) -> tuple[float, list[Any]]:
        """The loss, and its gradient by each of the tensors."""
        outputs = self._features(x)
        flat = outputs[-1].reshape(len(x), -1)
        logits = flat @ self.dense + self.dense_bias
        loss, probabilities = functional.softmax_cross_entropy(logits, labels)
        if self.parts.loss_backward is None:
            delta = functional.softmax_cross_entropy_grad_input(probabilities, labels)
        else:
            delta = self.parts.loss_backward(logits, labels)
        gradients = [delta.sum(axis=0), flat.T @ delta]
        dy = (delta @ self.dense.T).reshape(outputs[-1].shape)
        if self.parts.geometry.pool:
            dy = self._through_pool(outputs[-2], dy)
        self.met = []
        for i in (1, 0):
            dy = self._through_activation(dy, outputs[i + 1])
            self.met.insert(0, (outputs[i], dy))
            dx, dw, db = self._through_convolution(i, outputs[i], dy)
            gradients += [_fitting("db", db, self.biases[i]), _fitting("dw", dw, self.weights[i])]
            dy = dx if i == 0 else _fitting("dx", dx, outputs[i])
        return loss, gradients[::-1]

    def _through_pool(self, x: Any, dy: Any) -> Any:
        if self.parts.pool_backward is not None:
            return self.parts.pool_backward(x, dy)
        if self.parts.geometry.pool == "avg":
            return functional.avg_pool2d_grad_input(dy, x.shape, 2)
        _, indices = functional.max_pool2d(x, 2, return_indices=True)
        return functional.max_pool2d_grad_input(dy, indices, x.shape, 2)

    def _through_activation(self, dy: Any, y: Any) -> Any:
        if self.parts.activation_backward is not None:
            return self.parts.activation_backward(dy, y)
        return getattr(functional, f"{self.parts.geometry.activation}_grad_input")(dy, y)

    def _through_convolution(self, i: int, x: Any, dy: Any) -> tuple[Any, Any, Any]:
        w, options = self.weights[i], self.options[i]
        if self.parts.backward is not None:
            given = [options["stride"], options["padding"]]
            given += [value for value in list(options.values())[2:] if value != 1]
            return self.parts.backward(x, w, dy, *given)
        return (
            functional.conv2d_grad_input(dy, w, x.shape, **options),
            functional.conv2d_grad_weight(x, dy, w.shape[:2], **options),
            functional.conv2d_grad_bias(dy),
        )


def _fitting(name: str, gradient: Any, of: Any) -> Any:
    if gradient.shape != of.shape:
        raise ValueError(f"{name} has shape {gradient.shape} where {of.shape} is needed")
    return gradient


def _stepper(parts: Parts, network: _Network) -> Callable[[list[Any]], None]:
    """Return what takes gradients and changes the tensors in place."""
    lr, fn, tensors = parts.lr, parts.step, network.tensors
    if parts.adam_layer is not None:
        return _by_layers(parts.adam_layer, parts, network)
    if fn is None:
        return _right_stepper(parts, tensors)
    if isinstance(fn, type):
        return fn(tensors, lr=lr).step
    if parts.optimizer == "sgd":

        def descend(gradients: list[Any]) -> None:
            for p, g in zip(tensors, gradients, strict=True):
                p[...] = fn(p, g, lr)

        return descend
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in tensors]
    decay = {"weight_decay": parts.weight_decay} if parts.weight_decay else {}
    steps = iter(range(1, STEPS + 1))

    def step(gradients: list[Any]) -> None:
        t = next(steps)
        for p, g, (m, v) in zip(tensors, gradients, moments, strict=True):
            fn(p, g, m, v, t, lr=lr, **decay)

    return step


def _by_layers(
    layer: Callable[..., Any], parts: Parts, network: _Network
) -> Callable[[list[Any]], None]:
    """Return what lets the convolutions change their tensors themselves."""
    dense = _right_stepper(parts, network.tensors[4:])
    states: list[dict[str, Any]] = [{}, {}]
    steps = iter(range(1, STEPS + 1))

    def step(gradients: list[Any]) -> None:
        t = next(steps)
        for i, (x, dy) in enumerate(network.met):
            options = [network.options[i][name] for name in ("stride", "padding")]
            w, b = network.weights[i], network.biases[i]
            layer(x, w, b, dy, states[i], t, *options, lr=parts.lr)
        dense(gradients[4:])

    return step


def _right_stepper(parts: Parts, tensors: list[Any]) -> Callable[[list[Any]], None]:
    parameters = [Parameter(p, f"tensor{i}") for i, p in enumerate(tensors)]
    optimizer: rot180.optim.Optimizer = (
        rot180.optim.AdamW(parameters, lr=parts.lr, weight_decay=parts.weight_decay)
        if parts.optimizer == "adam"
        else rot180.optim.SGD(parameters, lr=parts.lr)
    )

    def step(gradients: list[Any]) -> None:
        for tensor, parameter, g in zip(tensors, parameters, gradients, strict=True):
            parameter.grad[...] = g
            parameter.value[...] = tensor
        optimizer.step()
        for tensor, parameter in zip(tensors, parameters, strict=True):
            tensor[...] = parameter.value

    return step


class _SoftmaxRegression:
    """Pixels, one dense layer, probabilities: what the models of the gallery should be."""

    def __init__(self, features: int = 64, classes: int = 10, lr: float = 0.1) -> None:
        self.lr = lr
        self.params = [np.zeros((features, classes)), np.zeros(classes)]

    def probabilities(self, x: Any) -> Any:
        return functional.softmax(x @ self.params[0] + self.params[1])

    def loss(self, x: Any, labels: Any) -> float:
        return functional.softmax_cross_entropy(x @ self.params[0] + self.params[1], labels)[0]

    def step(self, x: Any, labels: Any) -> None:
        p = self.probabilities(x)
        delta = functional.softmax_cross_entropy_grad_input(p, labels)
        self.params[0] -= self.lr * x.T @ delta
        self.params[1] -= self.lr * delta.sum(axis=0)


def _train_model(parts: Parts) -> Run:
    assert parts.model is not None
    model = parts.model(lr=parts.lr)
    losses: list[float] = []
    with np.errstate(all="ignore"):
        for x, labels in _batches():
            flat = x.reshape(len(x), -1)
            losses.append(float(model.loss(flat, labels)))
            model.step(flat, labels)
        digits = _digits()
        images = digits.x_test.astype(float).reshape(len(digits.x_test), -1)
        predicted = model.probabilities(images).argmax(axis=1)
    return Run(losses, float(np.mean(predicted == digits.y_test)))


@lru_cache
def train(parts: Parts) -> Run:
    """Train for STEPS steps, or until the loss is NaN or the shapes do not fit."""
    with threadpool_limits(1):  # threads of BLAS only wait for one another at this size
        return _train(parts)


def _train(parts: Parts) -> Run:
    if parts.model is not None:
        return _train_model(parts)
    network = _Network(parts)
    step = _stepper(parts, network)
    losses: list[float] = []
    with np.errstate(all="ignore"):
        for x, labels in _batches():
            try:
                loss, gradients = network.gradients(x, labels)
            except ValueError as error:
                return Run(losses, float("nan"), str(error))
            losses.append(loss)
            if not np.isfinite(loss):
                return Run(losses, float("nan"), f"the loss is {loss} at step {len(losses)}")
            step(gradients)
        digits = _digits()
        predicted = network.logits(digits.x_test.astype(float)).argmax(axis=1)
    return Run(losses, float(np.mean(predicted == digits.y_test)))
