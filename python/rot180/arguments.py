"""What a function asks of its arguments, and what it says when they are wrong.

`functional`, `reference` and `teaching` check here, so that they refuse the same things.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rot180.geometry import frozen_shape

FloatArray: TypeAlias = NDArray[np.floating[Any]]
OneOrMany: TypeAlias = FloatArray | Sequence[FloatArray]
NumberOrMany: TypeAlias = float | Sequence[float]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

# The activations that a convolution can apply as it writes its output, besides None.
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "sigmoid", "tanh")

# A window of max-pooling may have that many for uint8 to number them.
MOST_TAPS = 256

# Of a leaky ReLU, where none is given.
LEAKY_RELU_SLOPE = 0.01


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return a dtype argument as a NumPy dtype, or raise TypeError unless it is one of the two."""
    message = f"dtype must be float32 or float64, got {dtype!r}"
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(message) from None
    if dtype is None or found not in (FLOAT32, FLOAT64):  # NumPy takes None for float64
        raise TypeError(message)
    return found


def float_array(name: str, value: ArrayLike) -> FloatArray:
    """`value` as a C-contiguous, aligned array of native float32 or float64, copied if need be.

    Integers are refused rather than converted: whether they mean float32 or float64 is the
    caller's to say.
    """
    if type(value) is np.ndarray and value.flags.carray:
        dtype = value.dtype
        if dtype is FLOAT32 or dtype is FLOAT64:  # the usual case, told apart in haste
            return value
    array = as_array(name, value)
    native = array.dtype.newbyteorder("=")
    if native not in (FLOAT32, FLOAT64):
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected float32 or float64: "
            f"pass {name}.astype(numpy.float32)"
        )
    # An equal dtype may be another object, as those of unpickled arrays are. What is computed from
    # the array would have it too, and would be looked at closely each time.
    known = FLOAT32 if native == FLOAT32 else FLOAT64
    return np.require(array, known, ("C", "A")).view(known)


def float_arrays(**arrays: ArrayLike) -> list[FloatArray]:
    """Return the named arrays as `float_array` does: all float32, or all float64."""
    checked = [float_array(name, value) for name, value in arrays.items()]
    first_name, *other_names = arrays
    for name, array in zip(other_names, checked[1:], strict=True):
        expect_dtype(name, array, first_name, checked[0])
    return checked


def as_array(name: str, value: Any) -> NDArray[Any]:
    """`numpy.asarray`, with an error that names the argument."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from None


def expect_dtype(name: str, array: FloatArray, other_name: str, other: FloatArray) -> None:
    """Refuse float32 beside float64."""
    if array.dtype != other.dtype:
        raise TypeError(
            f"{name} has dtype {array.dtype} but {other_name} has dtype {other.dtype}, expected "
            f"the same: pass {name}.astype(numpy.{other.dtype})"
        )


def expect_shape(name: str, array: NDArray[Any], shape: tuple[int, ...], why: str) -> None:
    """Refuse an array that has another shape; `why` says where the expected one comes from."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}: {why}")


def as_batch(name: str, array: FloatArray) -> FloatArray:
    """Return (N, H, W, C) as it is, and one image (H, W, C) as a batch of one."""
    if array.ndim == 4:
        return array
    if array.ndim == 3:
        return array[np.newaxis]
    mend = f": pass {name}[..., numpy.newaxis] for one channel" if array.ndim == 2 else ""
    raise ValueError(
        f"{name} has shape {array.shape}, expected (N, H, W, C) or one image (H, W, C){mend}"
    )


def expect_same_axes(x: FloatArray, dy: FloatArray) -> None:
    """Refuse a batch beside one image."""
    if x.ndim != dy.ndim:
        raise ValueError(
            f"x has shape {x.shape} and dy has shape {dy.shape}: "
            "expected both with the batch axis or both without"
        )


def affine_matrices(matrix: ArrayLike, batch: int) -> NDArray[np.float64]:
    """Return a 2x3 matrix for each image, as float64; a single one stands for all."""
    array = as_array("matrix", matrix)
    if array.shape == (2, 3):
        array = np.broadcast_to(array, (batch, 2, 3))
    expect_shape("matrix", array, (batch, 2, 3), "one matrix for each image, or (2, 3) for all")
    if array.dtype.kind not in "iuf":
        raise TypeError(f"matrix has dtype {array.dtype}, expected real numbers")
    if not np.isfinite(array).all():
        raise ValueError("matrix holds NaN or infinite numbers")
    return np.ascontiguousarray(array, np.float64)


def bias_array(bias: ArrayLike | None, x: FloatArray, channels: int) -> FloatArray | None:
    """The bias of a layer with that many output channels; None stays None."""
    if bias is None:
        return None
    bias = float_array("bias", bias)
    expect_dtype("bias", bias, "x", x)
    expect_shape("bias", bias, (channels,), "one number for each output channel")
    return bias


def with_channels(name: str, value: ArrayLike) -> FloatArray:
    """An array (..., C), of pixels with at least one channel."""
    array = float_array(name, value)
    if array.ndim < 2 or array.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (N, H, W, C) or another (..., C) "
            "with at least one channel"
        )
    return array


def of_each_channel(name: str, value: ArrayLike, x: FloatArray) -> FloatArray:
    """An array (C,) of x's dtype, for x (..., C)."""
    array = float_array(name, value)
    shape = x.shape[-1:]
    if array.dtype is x.dtype and array.shape == shape:  # the usual case, told apart in haste
        return array
    expect_dtype(name, array, "x", x)
    expect_shape(name, array, shape, "one number for each channel of x")
    return array


def affine_of(
    weight: ArrayLike | None, bias: ArrayLike | None, x: FloatArray
) -> tuple[FloatArray | None, FloatArray | None]:
    """A normalisation's weight and bias (C,), for x (..., C); None stays None."""
    return (
        None if weight is None else of_each_channel("weight", weight, x),
        None if bias is None else of_each_channel("bias", bias, x),
    )


def residual_of(residual: ArrayLike | None, x: FloatArray) -> FloatArray | None:
    """What is added to the normalised x; None stays None."""
    if residual is None:
        return None
    residual = float_array("residual", residual)
    expect_dtype("residual", residual, "x", x)
    mend = "give the body padding, or the shortcut a 1x1 convolution with the body's stride"
    expect_shape("residual", residual, x.shape, f"that of x, which it is added to; {mend}")
    return residual


def expect_variance(x: FloatArray) -> None:
    """Refuse a batch (..., C) of one pixel, from which no variance can be told."""
    if x.size == x.shape[-1]:
        raise ValueError(
            f"x has shape {x.shape}, one value for each channel, which has no variance: "
            "expected more images or larger ones in training"
        )


def batch_shape(input_shape: Sequence[int], dy: FloatArray) -> tuple[int, ...]:
    """Return the shape of x with its batch axis, given with that axis if and only if dy has it."""
    shape = frozen_shape("input_shape", input_shape)
    if len(shape) != dy.ndim:
        raise ValueError(
            f"input_shape={shape} has {len(shape)} sizes and dy has shape {dy.shape}: "
            "expected both with the batch axis or both without"
        )
    return shape if len(shape) == 4 else (1, *shape)


def check_activation(activation: str | None) -> str | None:
    """Return the argument, or raise ValueError if no fused activation has that name."""
    if activation is None or (isinstance(activation, str) and activation in ACTIVATIONS):
        return activation
    names = ", ".join(repr(name) for name in ACTIVATIONS)
    raise ValueError(f"activation={activation!r} is unknown: expected None, {names}")


def gelu_form(approximate: str) -> str:
    """Return the argument, or raise ValueError unless it names one of GELU's two forms."""
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r} is unknown: expected 'none' or 'tanh'")
    return approximate


def saved_output(activation: str | None, y: ArrayLike | None, dy: FloatArray) -> FloatArray | None:
    """The output y at which an activation's derivative is taken: given with one, and only then."""
    if check_activation(activation) is None:
        if y is not None:
            raise ValueError("y is given without activation: pass the activation that made y too")
        return None
    if y is None:
        raise ValueError(
            f"activation={activation!r} is given without y: pass what the forward pass returned"
        )
    y = float_array("y", y)
    expect_dtype("y", y, "dy", dy)
    expect_shape("y", y, dy.shape, "the shape of dy")
    return y


def check_taps(kernel_size: tuple[int, int], return_indices: bool = False) -> None:
    """Refuse to number the taps of a window in a byte each if there are too many."""
    if return_indices:
        raise ValueError("return_indices and return_taps are both True, expected one at most")
    taps = kernel_size[0] * kernel_size[1]
    if taps > MOST_TAPS:
        raise ValueError(
            f"kernel_size {kernel_size} has {taps} taps, more than the {MOST_TAPS} that uint8 "
            "counts: pass return_indices=True instead"
        )


def scale_pair(scale_factor: float | Sequence[float]) -> tuple[float, float]:
    """How many times the height and the width, positive and finite."""
    pair = tuple(scale_factor) if isinstance(scale_factor, list | tuple) else (scale_factor,) * 2
    if len(pair) != 2:
        raise ValueError(
            f"scale_factor={scale_factor!r} has {len(pair)} entries: expected one number, "
            "or two for height and width"
        )
    vertical, horizontal = (real_number("scale_factor", scale) for scale in pair)
    if not (vertical and horizontal):
        raise ValueError(f"scale_factor must be greater than 0, got {scale_factor!r}")
    return vertical, horizontal


def check_interpolation(mode: str, align_corners: bool) -> None:
    """Refuse a mode of interpolation that there is not."""
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"mode={mode!r} is unknown: expected 'nearest', 'bilinear'")
    if align_corners and mode != "bilinear":
        raise ValueError(f"align_corners=True is for mode='bilinear', not for mode={mode!r}")


def with_last_axis(name: str, value: ArrayLike) -> FloatArray:
    """An array (..., classes) with at least one class."""
    array = float_array(name, value)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (..., classes) with at least one class"
        )
    return array


def class_scores(name: str, value: ArrayLike) -> FloatArray:
    """An array (N, ..., classes) of at least one example and one class."""
    array = with_last_axis(name, value)
    if array.ndim < 2:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (N, classes) or (N, H, W, classes)"
        )
    if array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}: the batch is empty, N = 0, "
            "expected at least one example to average over"
        )
    return array


def class_labels(name: str, labels: ArrayLike, *shape: int) -> NDArray[Any]:
    """What predictions of that shape (..., classes) ought to be.

    That is one class number for each, as int64, or as many probabilities as there are classes. An
    error names the first that is out of range.
    """
    array = as_array(name, labels)
    if array.dtype.kind == "f" and array.shape == shape:
        return _probabilities(name, array)
    *each, classes = shape
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected class numbers as integers: "
            f"pass {name}.astype(numpy.int64), or probabilities of shape {shape}"
        )
    hint = f"; pass {name}.argmax(axis=-1) if it is one-hot" if array.ndim == len(shape) else ""
    expect_shape(name, array, tuple(each), f"one class number for each example{hint}")
    if array.size and (array.min() < 0 or array.max() >= classes):
        index, first = _first(array, (array < 0) | (array >= classes))
        raise ValueError(f"{name}[{index}] is {first}, expected 0 to {classes - 1}")
    return np.ascontiguousarray(array, np.int64)


def class_weight_array(
    class_weights: ArrayLike | None, labels: NDArray[Any], classes: int
) -> NDArray[np.float64] | None:
    """The weight of each class, float64, of which not all of the labels have 0; None stays None."""
    if class_weights is None:
        return None
    weights = _weights("class_weights", class_weights)
    expect_shape("class_weights", weights, (classes,), "one number for each class")
    if labels.dtype.kind == "i" and not weights.all() and not weights[labels].any():
        raise ValueError("class_weights is 0 for every label: there is nothing to average over")
    return weights


def predictions_and_targets(**arrays: ArrayLike) -> list[FloatArray]:
    """Two arrays of one shape and dtype, with at least one element to average over."""
    first, second = float_arrays(**arrays)
    first_name, second_name = arrays
    expect_shape(second_name, second, first.shape, f"the shape of {first_name}")
    if first.size == 0:
        raise ValueError(f"{first_name} has shape {first.shape}: expected at least one element")
    return [first, second]


def positive_weights(pos_weight: ArrayLike, logits: FloatArray) -> FloatArray:
    """The weight of positive answers, () or one for each of the last axis, of logits' dtype."""
    weights = _weights("pos_weight", pos_weight)
    if weights.ndim:
        expect_shape("pos_weight", weights, logits.shape[-1:], "one for each of logits' last axis")
    return weights.astype(logits.dtype)


def zero_to_one(name: str, array: FloatArray) -> FloatArray:
    """Refuse an array that holds anything but numbers from 0 to 1."""
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        index, first = _first(array, ~((array >= 0) & (array <= 1)))
        raise ValueError(f"{name}[{index}] is {first}, expected 0 to 1")
    return array


def weight_tuple(name: str, value: ArrayLike) -> tuple[float, ...]:
    """Several numbers of at least 0, as Python floats."""
    array = _weights(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected a sequence of numbers")
    return tuple(array.tolist())


def _weights(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Numbers of at least 0, as float64."""
    array = as_array(name, value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {array.dtype}, expected numbers")
    wrong = ~((array >= 0) & np.isfinite(array))
    if wrong.any():
        index, first = _first(array, wrong)
        place = f"{name}[{index}]" if array.ndim else name
        raise ValueError(f"{place} is {first}, expected at least 0 and finite")
    return np.ascontiguousarray(array, np.float64).reshape(array.shape)


def _probabilities(name: str, array: NDArray[Any]) -> NDArray[Any]:
    sums = array.sum(axis=-1)
    wrong = ~((array.min(axis=-1) >= 0) & (abs(sums - 1) <= 1e-3))
    if wrong.any():
        index, total = _first(sums, wrong)
        raise ValueError(
            f"{name}[{index}] has the sum {total:.4g} and the smallest entry "
            f"{array.min(axis=-1)[wrong][0]:.4g}, expected probabilities, which have the sum 1"
        )
    return array


def _first(array: NDArray[Any], wrong: NDArray[np.bool_]) -> tuple[str, Any]:
    """The first place where something is wrong, as it is written in brackets, and what is there."""
    index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return ", ".join(str(i) for i in index), array[index].item()


def real_number(name: str, value: Any, smallest: float = 0.0, below: float = math.inf) -> float:
    """Return a Python float from `smallest` up to, but not including, `below`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not smallest <= number < below:
        limit = "finite" if below == math.inf else f"less than {below:g}"
        raise ValueError(f"{name} must be at least {smallest:g} and {limit}, got {number}")
    return number


def running_momentum(momentum: Any) -> float:
    """The share of new statistics in running ones, from 0 to 1."""
    share = real_number("momentum", momentum)
    if share > 1:
        raise ValueError(f"momentum must be at most 1, the share of the batch, got {share}")
    return share


def positive_number(name: str, value: Any) -> float:
    """Return a Python float greater than 0 and finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be greater than 0 and finite, got {number}")
    return number


def number_for_each(
    name: str, value: NumberOrMany, count: int, what: str = "tensor"
) -> list[float]:
    """Return a number of at least 0 for each of `count` tensors, given as one or as so many."""
    if not isinstance(value, list | tuple):
        return [real_number(name, value)] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} numbers, expected {count}, one for each {what}")
    return [real_number(f"{name}[{i}]", number) for i, number in enumerate(value)]


def key_of_64_bits(key: Any) -> int:
    """Return a key of random numbers as a Python int from 0 to 2**64 - 1."""
    try:
        number = operator.index(key)
    except TypeError:
        raise TypeError(f"key must be an int, got {key!r}") from None
    if not 0 <= number < 1 << 64:
        raise ValueError(f"key must be from 0 to 2**64 - 1, got {number}")
    return number


def random_generator(rng: Any) -> np.random.Generator:
    """Return the argument, or raise TypeError unless it is a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {rng!r}: "
            "pass numpy.random.default_rng(seed)"
        )
    return rng


def adam_betas(betas: Any) -> tuple[float, float]:
    """The two decay rates of Adam's moments, each at least 0 and less than 1."""
    try:
        beta1, beta2 = betas
    except (TypeError, ValueError):
        raise TypeError(f"betas must be two numbers, got {betas!r}") from None
    return real_number("betas[0]", beta1, below=1.0), real_number("betas[1]", beta2, below=1.0)


def matching_tensors(
    read_only: str | None = "grad", /, **tensors: OneOrMany
) -> list[tuple[FloatArray, ...]]:
    """One tuple of arrays for each parameter tensor, checked against one another.

    Each argument is one array or a sequence of as many as the first has. All but the one that is
    named by `read_only` are to be updated in place.
    """
    lists = {name: _as_list(name, value) for name, value in tensors.items()}
    first, *_ = lists
    count = len(lists[first])
    for name, arrays in lists.items():
        if len(arrays) != count:
            raise ValueError(
                f"{name} has {len(arrays)} arrays, expected {count}: as many as {first}"
            )
    several = not isinstance(tensors[first], np.ndarray)
    rows = []
    for i, row in enumerate(zip(*lists.values(), strict=True)):
        if _nothing_to_mend(row):
            rows.append(row)
            continue
        names = [f"{name}[{i}]" if several else name for name in lists]
        checked = tuple(
            float_array(label, array) if name == read_only else writable_in_place(label, array)
            for name, label, array in zip(lists, names, row, strict=True)
        )
        for label, array in zip(names[1:], checked[1:], strict=True):
            expect_shape(label, array, checked[0].shape, f"the shape of {names[0]}")
            expect_dtype(label, array, names[0], checked[0])
        rows.append(checked)
    return rows


def expect_state(name: str, state: OneOrMany | None, option: str, setting: float) -> None:
    """Refuse an optimizer's state that is missing, or given without the option that uses it."""
    if (state is not None) != bool(setting):
        raise ValueError(
            f"{name} is {'None' if state is None else 'given'} with {option}={setting}: "
            f"expected it with {option} only, zeros like param that are kept from step to step"
        )


def without_none(**tensors: OneOrMany | None) -> dict[str, OneOrMany]:
    """The tensors that are there, by name."""
    return {name: value for name, value in tensors.items() if value is not None}


def _nothing_to_mend(row: tuple[Any, ...]) -> bool:
    """Whether all are arrays that kernels take as they are: the usual case, told apart in haste."""
    dtype = getattr(row[0], "dtype", None)
    if dtype is not FLOAT32 and dtype is not FLOAT64:
        return False
    shape = row[0].shape
    return all(
        type(array) is np.ndarray
        and array.dtype is dtype
        and array.shape == shape
        and array.flags.carray
        for array in row
    )


def writable_in_place(name: str, array: Any) -> FloatArray:
    """Refuse an array that a kernel cannot write into as it lies."""
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{name} is changed in place: expected a numpy.ndarray, got {type(array).__name__}"
        )
    if array.dtype not in (FLOAT32, FLOAT64) or not array.dtype.isnative:
        raise TypeError(
            f"{name} is changed in place and has dtype {array.dtype}, "
            "expected float32 or float64 in native byte order"
        )
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only and is changed in place: pass {name}.copy()")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(
            f"{name} is changed in place and must be C-contiguous and aligned: "
            f"pass numpy.ascontiguousarray({name})"
        )
    return array


def _as_list(name: str, value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, list | tuple):
        return list(value)
    raise TypeError(f"{name} must be an array or a sequence of arrays, got {type(value).__name__}")
