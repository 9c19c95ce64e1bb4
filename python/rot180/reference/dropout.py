"""Dropout, and the random numbers that it compares."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import FloatArray, float_array, key_of_64_bits, real_number

# Numbers of 32 bits, with as many again for products.
Words: TypeAlias = NDArray[np.uint64]
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def dropout(x: FloatArray, p: float, key: int) -> FloatArray:
    """``y = x / (1 - p) if number >= p * 2**32 else 0``, each element with a number of its own.

    The numbers are those of `philox`. The gradient is the same function: ``dx = dropout(dy, p,
    key)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import dropout
    >>> dropout(np.ones(8), 0.5, key=7).tolist()
    [2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]
    """
    x = float_array("x", x)
    p, key = real_number("p", p, below=1.0), key_of_64_bits(key)
    # 16 counters make 64 numbers: the first word of each counter, then the second of each, ...
    counters = np.arange(16 * math.ceil(x.size / 64), dtype=np.uint64)
    zeros = np.zeros_like(counters)
    words = philox(key, counters & LOW, counters >> HALF, zeros, zeros)
    numbers = words.reshape(-1, 16, 4).swapaxes(1, 2).reshape(-1)[: x.size].reshape(x.shape)
    kept = numbers >= min(math.ceil(p * 2**32), 2**32 - 1)
    return np.where(kept, x * x.dtype.type(1 / (1 - p)), np.zeros_like(x))


def philox(key: int, a: Words, b: Words, c: Words, d: Words) -> Words:
    """Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).

    Of counters that consist of the words a, b, c and d, the lowest first, it makes as many new
    ones: (counters, 4).
    """
    key0, key1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        product_a, product_c = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b = (product_c >> HALF) ^ b ^ np.uint64(key0), product_c & LOW
        c, d = (product_a >> HALF) ^ d ^ np.uint64(key1), product_a & LOW
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=1)
