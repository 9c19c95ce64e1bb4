"""Images turned, moved and scaled."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import FloatArray, affine_matrices, as_batch, float_array
from rot180.functional.results import new_array


def affine2d(x: ArrayLike, matrix: ArrayLike) -> FloatArray:
    """Turn, move, scale or shear images: pixel (i, j) is taken from (r, s) = matrix @ (i, j, 1).

    ``y[n,i,j,c] = x[n,r,s,c]``, between pixels mixed of the nearest four, bilinearly; what lies
    outside x is 0. Rows come first: ``[[1, 0, 2], [0, 1, 0]]`` moves an image up by two. Runs on
    the calling thread alone, since it prepares images beside a training, see
    `rot180.data.RandomAffine`.

    Parameters
    ----------
    x : array (N, H, W, C) or (H, W, C), float32 or float64
    matrix : array (N, 2, 3), or (2, 3) for all images, of real numbers

    Returns
    -------
    array of x's shape and dtype

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import affine2d
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])[..., np.newaxis]
    >>> affine2d(x, [[0, 1, 0], [1, 0, 0]])[..., 0].tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    >>> affine2d(x, [[1, 0, 0], [0, 1, 0.5]])[..., 0].tolist()
    [[1.5, 1.0], [3.5, 2.0]]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    matrices = affine_matrices(matrix, len(images))
    y = new_array(images.shape, images.dtype)
    _core.affine2d(images, matrices, y)
    return y.reshape(x.shape)
