"""Images turned, moved and scaled: bilinear interpolation at (r, s) = matrix @ (i, j, 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rot180.arguments import FloatArray, affine_matrices, as_batch, float_array


def affine2d(x: FloatArray, matrix: ArrayLike) -> FloatArray:
    """Take each pixel (i, j) of y from (r, s) = matrix @ (i, j, 1) of x, outside of which is 0.

    ``y[n,i,j,c] = sum over p,q of x[n,p,q,c] * max(0, 1-|r-p|) * max(0, 1-|s-q|)``

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    matrix : (N, 2, 3), or (2, 3) for all images

    Returns
    -------
    y : shape and dtype of x

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import affine2d
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])[..., np.newaxis]
    >>> affine2d(x, [[1, 0, 1], [0, 1, 0]])[..., 0].tolist()
    [[3.0, 4.0], [0.0, 0.0]]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    y = np.zeros_like(images)
    _, height, width, _ = images.shape
    for image, m, result in zip(images, affine_matrices(matrix, len(images)), y, strict=True):
        i, j = np.indices((height, width))
        r, s = (row[0] * i + row[1] * j + row[2] for row in m)
        for p, q in np.ndindex(height, width):
            share = np.maximum(0, 1 - abs(r - p)) * np.maximum(0, 1 - abs(s - q))
            result += (share[..., np.newaxis] * image[p, q]).astype(x.dtype)
    return y.reshape(x.shape)
