"""Dropout: values set to zero at random, by numbers that a key determines."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import FloatArray, float_array, key_of_64_bits, real_number
from rot180.functional.results import new_array


def dropout(x: ArrayLike, p: float, key: int) -> FloatArray:
    """Y = x / (1 - p) with probability 1 - p, else 0, element by element (Srivastava et al., 2014).

    The mean stays what it is. Which elements are kept depends on p, the key and the element's place
    alone: the number at place i, counted along the last axis first, of Philox4x32-10 (Salmon et
    al., 2011) is compared with p * 2**32. So the gradient is the same function, with no mask to
    keep: ``dx = dropout(dy, p, key)``.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    p : float
        The probability of 0; at least 0, less than 1.
    key : int
        From 0 to 2**64 - 1; a new one for each pass, for example
        ``int(rng.integers(2**64, dtype=numpy.uint64))``.

    Returns
    -------
    array of x's shape and dtype

    Raises
    ------
    ValueError, TypeError
        If p or key is out of range, or no number.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import dropout
    >>> dropout(np.ones(8), 0.5, key=7).tolist()
    [2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]
    """
    x = float_array("x", x)
    p, key = real_number("p", p, below=1.0), key_of_64_bits(key)
    y = new_array(x.shape, x.dtype)
    _core.dropout(x, p, key, y)
    return y
