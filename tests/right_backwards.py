"""Right backward passes of a convolution, each written in another way, as people write them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from rot180 import functional


def loops(x, w, dy, stride=1, padding=0):
    """Seven loops; a pixel outside the image is left out."""
    n_images, height, width, channels = x.shape
    kernel_h, kernel_w, _, filters = w.shape
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(filters)
    for n in range(n_images):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                for k in range(filters):
                    delta = dy[n, i, j, k]
                    db[k] += delta
                    for r in range(kernel_h):
                        for s in range(kernel_w):
                            p, q = i * stride + r - padding, j * stride + s - padding
                            if p < 0 or q < 0 or p >= height or q >= width:
                                continue
                            for c in range(channels):
                                dw[r, s, c, k] += delta * x[n, p, q, c]
                                dx[n, p, q, c] += delta * w[r, s, c, k]
    return dx, dw, db


def im2col(inputs, kernel, grad_output, strides=1, pad=0, dilation=1):
    """Windows as the rows of a matrix, and col2im; returns a dictionary."""
    sh, sw = np.broadcast_to(strides, 2)
    dh, dw = np.broadcast_to(dilation, 2)
    pad = np.asarray(pad)
    (top, bottom), (left, right) = pad if pad.ndim == 2 else np.broadcast_to(pad, (2, 2)).T
    padded = np.pad(inputs, ((0, 0), (top, bottom), (left, right), (0, 0)))
    kernel_h, kernel_w, _, filters = kernel.shape
    rows, columns = grad_output.shape[1:3]
    places = [
        (slice(r * dh, r * dh + (rows - 1) * sh + 1, sh),
         slice(s * dw, s * dw + (columns - 1) * sw + 1, sw))
        for r in range(kernel_h)
        for s in range(kernel_w)
    ]  # fmt: skip
    cols = np.stack([padded[:, p, q] for p, q in places], axis=3)
    delta = grad_output.reshape(-1, filters)
    grad_kernel = (cols.reshape(len(delta), -1).T @ delta).reshape(kernel.shape)
    back = (delta @ kernel.reshape(-1, filters).T).reshape(cols.shape)
    image = np.zeros_like(padded)
    for tap, (p, q) in enumerate(places):
        image[:, p, q] += back[:, :, :, tap]
    height, width = inputs.shape[1:3]
    return {
        "dx": image[:, top : top + height, left : left + width],
        "dw": grad_kernel,
        "db": delta.sum(axis=0),
    }


def full_mode(x, w, dout, stride, padding):
    """NCHW and OIHW: dout interleaved with zeros, and the kernel turned by 180 degrees."""
    batch, filters, rows, columns = dout.shape
    height, width = x.shape[2:]
    kernel_h, kernel_w = w.shape[2:]
    spread = np.zeros((batch, filters, height + 2 * padding - kernel_h + 1,
                       width + 2 * padding - kernel_w + 1))  # fmt: skip
    spread[:, :, : (rows - 1) * stride + 1 : stride, : (columns - 1) * stride + 1 : stride] = dout
    edges = ((0, 0), (0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(spread, edges), (kernel_h, kernel_w), axis=(2, 3)
    )
    full = np.einsum("nkhwrs,kcrs->nchw", windows, np.rot90(w, 2, axes=(2, 3)))
    dx = full[:, :, padding : padding + height, padding : padding + width]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, spread.shape[2:], axis=(2, 3))
    dw = np.einsum("ncrshw,nkhw->kcrs", seen, spread)
    return SimpleNamespace(dx=dx, dw=dw, db=dout.sum(axis=(0, 2, 3)))


def scatter(x, weight, delta, stride=(1, 1), padding=(0, 0), groups=1):
    """NCHW and OIHW with groups: each output adds its window to dx; a list is returned."""
    (sh, sw), (ph, pw) = np.broadcast_to(stride, 2), np.broadcast_to(padding, 2)
    filters, channels, kernel_h, kernel_w = weight.shape
    each = filters // groups
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    image, dw = np.zeros_like(padded), np.zeros_like(weight)
    for g in range(groups):
        k, c = slice(g * each, (g + 1) * each), slice(g * channels, (g + 1) * channels)
        for i in range(delta.shape[2]):
            for j in range(delta.shape[3]):
                window = (slice(None), c, slice(i * sh, i * sh + kernel_h),
                          slice(j * sw, j * sw + kernel_w))  # fmt: skip
                image[window] += np.tensordot(delta[:, k, i, j], weight[k], 1)
                dw[k] += np.tensordot(delta[:, k, i, j].T, padded[window], 1)
    height, width = x.shape[2:]
    return [image[:, :, ph : ph + height, pw : pw + width], dw, delta.sum((0, 2, 3))]


def fourier(x, w, dy):
    """Stride 1 by the convolution theorem, whose rounding is spread over the whole image."""
    size = (x.shape[1], x.shape[2])
    over = {"axes": (1, 2)}
    x_hat, dy_hat = np.fft.rfft2(x, size, **over), np.fft.rfft2(dy, size, **over)
    w_hat = np.fft.rfft2(w, size, axes=(0, 1))
    dx = np.fft.irfft2(np.einsum("nhwk,hwck->nhwc", dy_hat, w_hat), size, **over)
    dw = np.fft.irfft2(np.einsum("nhwc,nhwk->hwck", x_hat, dy_hat.conj()), size, axes=(0, 1))
    return dx, dw[: w.shape[0], : w.shape[1]], dy.sum((0, 1, 2))


def kernels(x, w, dy, stride, padding, dilation, groups):
    """The compiled kernels of this package."""
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dx = functional.conv2d_grad_input(dy, w, x.shape, **options)
    dw = functional.conv2d_grad_weight(x, dy, w.shape[:2], **options)
    return dx, dw, functional.conv2d_grad_bias(dy)


def in_single_precision(x, w, dy, stride, padding, dilation, groups):
    """The same in float32, whatever was given."""
    x, w, dy = (a.astype(np.float32) * np.float32(1 / 3) for a in (x, w, dy))
    dx, dw, db = kernels(x, w, dy, stride, padding, dilation, groups)
    return dx * np.float32(9), dw * np.float32(9), db * np.float32(3)


def one_image(x, kernel, grad):
    """(H, W, C) and (KH, KW, C, K), channel by channel."""
    dx, dw = np.zeros_like(x), np.zeros_like(kernel)
    for i, j, k in np.ndindex(grad.shape):
        window = np.s_[i : i + kernel.shape[0], j : j + kernel.shape[1]]
        dx[window] += grad[i, j, k] * kernel[..., k]
        dw[..., k] += grad[i, j, k] * x[window]
    return dx, dw, grad.sum(axis=(0, 1))


def one_channel(image, kernel, delta, stride):
    """(H, W) and (KH, KW); db is a number."""
    dx, dw = np.zeros_like(image), np.zeros_like(kernel)
    for i, j in np.ndindex(delta.shape):
        rows = slice(i * stride, i * stride + kernel.shape[0])
        columns = slice(j * stride, j * stride + kernel.shape[1])
        dx[rows, columns] += delta[i, j] * kernel
        dw += delta[i, j] * image[rows, columns]
    return dx, dw, delta.sum()


def with_sigmoid(x, w, dy, y):
    """Through a sigmoid, from its output."""
    return loops(x, w, dy * y * (1 - y))


def with_relu(x, w, b, dy):
    """Through a ReLU, whose argument is computed again."""
    return loops(x, w, dy * (functional.conv2d(x, w, b) > 0))


# The function, and what conv2d_backward is told beside it.
RIGHT = {
    "loops": (loops, {}),
    "im2col": (im2col, {}),
    "full mode": (full_mode, {"layout": "NCHW", "weight_layout": "OIHW"}),
    "scatter": (scatter, {"layout": "NCHW", "weight_layout": "OIHW"}),
    "fourier": (fourier, {}),
    "kernels": (kernels, {}),
    "kernels in float32": (kernels, {"dtype": np.float32}),
    "in single precision": (in_single_precision, {}),
    "one image": (one_image, {"ndim": 3}),
    "one channel": (one_channel, {"ndim": 2}),
    "sigmoid": (with_sigmoid, {"activation": "sigmoid"}),
    "ReLU": (with_relu, {"activation": "relu"}),
}
