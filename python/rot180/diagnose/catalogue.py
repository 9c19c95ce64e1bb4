"""The mistakes that people make in a convolution's backward pass, each with its wrong gradient.

M1 to M21 of the catalogue, in the forms in which they are met. A `Variant` is one form: what is
said of it, and the changes to a right recipe that make it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rot180.diagnose.diagnosis import Mistake


@dataclass(frozen=True)
class Variant:
    """One form of a mistake in one gradient.

    Attributes
    ----------
    mistake : what is said of it
    gradient : "dx", "dw" or "db"
    changes : fields of `Recipe` that are not right
    seen_with : the smallest thing that a probe needs to show it, "a stride above 1"
    true_convolution : what is said of it where the forward is a true convolution, if that differs
    """

    mistake: Mistake
    gradient: str
    changes: dict[str, Any]
    seen_with: str
    true_convolution: Mistake | None = None

    def told(self, flipped: bool) -> Mistake:
        """Return what is said of it under the convention of the forward."""
        return self.true_convolution if flipped and self.true_convolution else self.mistake


SCATTER = "dx_padded[:, r:r+sh*OH:sh, s:s+sw*OW:sw] += dy @ w[r, s].T"
GATHER = "dw[r, s] = np.einsum('nijc,nijk->ck', x_padded[:, r:r+sh*OH:sh, s:s+sw*OW:sw], dy)"


def _rotation() -> Iterator[Variant]:
    turned = "w_turned = w[::-1, ::-1].swapaxes(2, 3)  # both spatial axes; C and K exchanged"
    reason = (
        "Output i reads pixel i + r through tap r, so pixel p collects dy[p - r] * w[r]: the index "
        "falls as r rises. A correlation of dy must therefore read the kernel from its other end"
    )
    straight = Mistake(
        "M1",
        "the kernel is rotated in dx although the forward is a true convolution",
        "A true convolution has turned the kernel already, and its gradient turns it back. "
        "So dx is the full correlation of dy with the kernel as it is stored.",
        "dx = correlate_full(dy, w.swapaxes(2, 3))",
        "correlation-or-convolution",
    )
    yield Variant(
        Mistake("M1", "the kernel is not rotated in dx", reason + ".", turned, "rotation"),
        "dx",
        {"turned_rows": False, "turned_columns": False},
        "a kernel that is not symmetric",
        straight,
    )
    for axis, other, changes in (
        ("rows", "columns", {"turned_columns": False}),
        ("columns", "rows", {"turned_rows": False}),
    ):
        yield Variant(
            Mistake(
                "M1",
                f"only the kernel's {axis} are reversed in dx, not its {other}",
                reason + ", in rows as in columns: a rotation by 180 degrees is both flips.",
                turned,
                "rotation",
            ),
            "dx",
            changes,
            f"a kernel of several {axis} and {other}",
        )
    channel = (
        "The rotation is one of space: rows and columns change ends. "
        "Channels are summed over, each with its own weight, and keep their order."
    )
    for names, letters in (("input channels", "i"), ("filters", "o"), ("channels", "io")):
        both = " (input channels and filters)" if letters == "io" else ""
        needs = {"i": "C > 1", "o": "K > 1", "io": "C > 1 and K > 1"}[letters]
        yield Variant(
            Mistake(
                "M2",
                f"the kernel is reversed in its {names}{both} instead of in space in dx",
                channel,
                turned + "; on OIHW: w[:, :, ::-1, ::-1]",
                "rotation",
            ),
            "dx",
            {"reversed": letters, "turned_rows": False, "turned_columns": False},
            needs,
        )
        yield Variant(
            Mistake(
                "M2",
                f"the kernel is reversed in its {names}{both} as well as in space in dx",
                channel,
                turned + "; on OIHW: w[:, :, ::-1, ::-1], not np.flip(w)",
                "rotation",
            ),
            "dx",
            {"reversed": letters},
            needs,
        )
        yield Variant(
            Mistake(
                "M2",
                f"dw is reversed in its {names}{both}",
                "dw[r, s, c, k] belongs to channel c and filter k. " + channel.split(". ")[1],
                GATHER,
                "rotation",
            ),
            "dw",
            {"reversed": letters},
            needs,
        )
    yield Variant(
        Mistake(
            "M2",
            "db is reversed in its filters",
            "db[k] is the sum of dy[..., k]. Filters keep their order.",
            "db = dy.sum(axis=(0, 1, 2))",
            "bias-gradient",
        ),
        "db",
        {"reversed": "o"},
        "K > 1",
    )
    yield Variant(
        Mistake(
            "M20",
            "dw is rotated by 180 degrees although the forward is a correlation",
            "Tap r of a correlation reads pixel i + r, so dw[r] is the correlation of x with dy at "
            "shift r. Only dx needs a turned kernel; dw comes out as it is stored.",
            GATHER,
            "correlation-or-convolution",
        ),
        "dw",
        {"turned_rows": False, "turned_columns": False},
        "a kernel larger than 1x1",
        Mistake(
            "M20",
            "dw is not rotated although the forward is a true convolution",
            "A true convolution reads x[i + KH-1-r] through tap r. "
            "The correlation of x with dy therefore has to be turned by 180 degrees to be dw.",
            "dw = correlate(x, dy)[::-1, ::-1]",
            "correlation-or-convolution",
        ),
    )
    for axis, changes in (
        ("rows", {"turned_rows": False}),
        ("columns", {"turned_columns": False}),
    ):
        yield Variant(
            Mistake(
                "M20",
                f"dw has its {axis} reversed",
                "Tap r of a correlation reads pixel i + r, so dw[r] is the correlation of x with "
                "dy at shift r. No axis of it is reversed.",
                GATHER,
                "correlation-or-convolution",
            ),
            "dw",
            changes,
            f"a kernel of several {axis}",
        )


def _forms() -> Iterator[Variant]:
    reason = (
        "dx says how the loss depends on each pixel, so it has x's shape. "
        "Each output hands its dy back, through the kernel, to the pixels that its window read."
    )
    for form, name, needs in (
        ("gradient of w", "dx is the gradient of the kernel: x correlated with dy", ""),
        ("kernel times the sum of dy", "dx is the kernel times the sum of dy", ""),
        ("kernels times the sum of dy", "dx is the kernel times the sum of dy", ""),
        ("every kernel times the sum of all dy", "dx is the kernel times the sum of dy", "K > 1"),
        ("sum of dy everywhere", "dx is K times the sum of dy, the same at every pixel", ""),
        (
            "sum of kernels times the sum of dy everywhere",
            "dx is the sum of the kernel times the sum of dy, the same at every pixel",
            "",
        ),
    ):
        yield Variant(
            Mistake("M3", name, reason, SCATTER, "full-mode"),
            "dx",
            {"form": form},
            needs or "any image",
        )


def _channels() -> Iterator[Variant]:
    reason = (
        "Every filter read the pixel, so the loss depends on it through every filter. "
        "dx adds up what all K of them hand back."
    )
    dot = "dx_padded[:, r:r+sh*OH:sh, s:s+sw*OW:sw] += dy @ w[r, s].T  # the product sums over K"
    for filters, name in (
        ("last", "dx has the last filter only: it is not summed over the filters"),
        ("first", "dx has the first filter only: it is not summed over the filters"),
        ("mean", "dx is the mean over the filters instead of the sum"),
        ("apart", "dx has an axis for the filters: it is not summed over them"),
        (
            "each summed",
            "dy and the kernel are each summed over the filters before they meet in dx",
        ),
    ):
        yield Variant(
            Mistake("M4", name, reason, dot, "channels-back"), "dx", {"filters": filters}, "K > 1"
        )
    for gradient in ("dx", "dw"):
        yield Variant(
            Mistake(
                "M11",
                f"filter k meets only input channel k mod C in {gradient}",
                "A filter of a convolution has weights for every input channel and sums over all "
                "of them. Only a depthwise convolution pairs one filter with one channel.",
                SCATTER if gradient == "dx" else GATHER,
                "channels-back",
            ),
            gradient,
            {"channels": "k mod C"},
            "C > 1",
        )
    exchanged = (
        "The backward pass goes from K channels to C, so the kernel's two channel axes change "
        "places with their numbers. Reading one for the other mixes weights of different filters."
    )
    for read in ("io", "oi"):
        layout = {"io": "HWIO", "oi": "OIHW"}[read]
        yield Variant(
            Mistake(
                "M17",
                f"in and out channels of the kernel ({layout}) are exchanged in dx",
                exchanged,
                "dx[n, p, q, c] += dy[n, i, j, k] * w[r, s, c, k]  # c and k as in the forward",
                "channels-back",
            ),
            "dx",
            {"kernel_read": read},
            "C > 1 and K > 1",
        )
    for written, name in (
        ("io", "dw has in and out channels exchanged"),
        ("io read", "dw was written with in and out channels exchanged (HWIO)"),
        ("oi read", "dw was written with in and out channels exchanged (OIHW)"),
    ):
        yield Variant(
            Mistake(
                "M17",
                name,
                "dw[r, s, c, k] is what weight (r, s, c, k) met: channel c of x, filter k of dy. "
                "So it has the kernel's axes in the kernel's order.",
                GATHER,
                "channels-back",
            ),
            "dw",
            {"written": written},
            "C > 1 or K > 1",
        )
    for gradient in ("dx", "dw"):
        for field, value, name in (
            ("group_channels", "next", "each group uses the next group's channels"),
            ("group_channels", "first", "every group uses the first group's channels"),
            ("group_channels", "interleaved", "group g uses every groups-th channel"),
            ("group_filters", "interleaved", "group g uses every groups-th filter"),
        ):
            yield Variant(
                Mistake(
                    "M18",
                    f"{name} in {gradient}",
                    "Group g has the channels g*C/groups to (g+1)*C/groups - 1, and the filters "
                    "g*K/groups to (g+1)*K/groups - 1. Both are blocks, and both move with g.",
                    "c = slice(g * C // groups, (g + 1) * C // groups); "
                    "k = slice(g * K // groups, (g + 1) * K // groups)",
                    "channels-back",
                ),
                gradient,
                {field: value},
                "several groups",
            )


def _places() -> Iterator[Variant]:
    yield from _tap_indices()
    yield from _strides()
    yield from _paddings()
    for gradient in ("dx", "dw"):
        yield Variant(
            Mistake(
                "M15",
                f"the dilation is forgotten in {gradient}",
                "Tap r of a dilated kernel reads r*d pixels from the window's first one. "
                "The backward pass must use the same distance.",
                "p = i*sh + r*dh - top; q = j*sw + s*dw - left",
                "full-mode",
            ),
            gradient,
            {"meetings.dilation": "one"},
            "a dilation above 1",
        )
    clamp = (
        "A pixel outside the image does not exist: its term is left out of the sum, or is zero. "
        "An index that is moved back inside counts the border again and again."
    )
    inside = "if 0 <= p < H and 0 <= q < W:  # leave the term out, do not move the index"
    for gradient, border, name in (
        ("dx", "output", "indices of dy are clamped at the border in dx"),
        ("dx", "input", "indices of dx are clamped at the border"),
        ("dx", "wraps", "negative indices of dx wrap round to the other side"),
        ("dw", "input", "indices of x are clamped at the border in dw"),
        ("dw", "wraps", "negative indices of x wrap round to the other side in dw"),
    ):
        yield Variant(
            Mistake("M6", name, clamp, inside, "ceil-and-clamp"),
            gradient,
            {"meetings.border": border},
            "a kernel larger than 1x1" if border == "output" else "padding",
        )
    yield from _exchanged_axes()


def _tap_indices() -> Iterator[Variant]:
    for outputs, name in (
        ("like the input", "dw indexes dy with the index of x"),
        ("by the tap", "dw moves the index of dy by the tap"),
    ):
        yield Variant(
            Mistake(
                "M5",
                name,
                "Output (i, j) read pixel (i*s + r - top, ...) through tap r, so x moves with the "
                "tap and dy does not. dy is indexed by the output alone.",
                "dw[r, s, c, k] += x_padded[n, i*sh + r, j*sw + s, c] * dy[n, i, j, k]",
                "vectorise",
            ),
            "dw",
            {"meetings.outputs": outputs},
            "a kernel larger than 1x1",
        )


def _strides() -> Iterator[Variant]:
    interleaved = "spread[:, ::sh, ::sw] = dy  # then a correlation of stride 1, full mode"
    reason = (
        "Window i begins at i*s, so what output i hands back lies s pixels from its neighbour's. "
        "Put s-1 zeros between the entries of dy, or write to dx in steps of s."
    )
    stride = "a stride above 1"
    for changes, name in (
        ({"meetings.step": "one"}, "the stride is forgotten in dx"),
        (
            {"meetings.step": "one", "meetings.extent": "reached"},
            "the stride is forgotten in dx, which is too small",
        ),
        (
            {"meetings.step": "one", "meetings.extent": "reached in the input"},
            "the stride is forgotten in dx, which is too small",
        ),
        (
            {"meetings.border": "before"},
            "dy is repeated in dx, where zeros belong between its entries (or the test that "
            "(p + top - r) % s is 0 is missing)",
        ),
        ({"meetings.step": "one more"}, "dx has s zeros between the entries of dy, not s-1"),
        (
            {"meetings.step": "one more", "meetings.extent": "reached"},
            "dx has s zeros between the entries of dy, not s-1, and is too large",
        ),
        (
            {"meetings.step": "one more above 1"},
            "dx has s zeros between the entries of dy, not s-1",
        ),
        (
            {"meetings.step": "one more above 1", "meetings.extent": "reached"},
            "dx has s zeros between the entries of dy, not s-1, and is too large",
        ),
    ):
        yield Variant(
            Mistake("M12", name, reason, interleaved, "stride-in-backward"), "dx", changes, stride
        )
    yield Variant(
        Mistake(
            "M12",
            "the stride is forgotten in dw",
            "Output i read x from i*s on, not from i. "
            "For each tap, dw takes every s-th pixel of x.",
            GATHER,
            "stride-in-backward",
        ),
        "dw",
        {"meetings.step": "one"},
        stride,
    )
    remainder = (
        "Where (H + top + bottom - KH) is no multiple of s, the last rows are in no window: their "
        "gradient is zero, and they are there. dx has x's shape, which dy's does not determine."
    )
    left = "a remainder: (H + top + bottom - KH) % s > 0"
    for changes, name in (
        ({"meetings.extent": "reached"}, "the remainder rows are dropped from dx"),
        ({"meetings.extent": "reached in the input"}, "the remainder rows are dropped from dx"),
        ({"meetings.start": "first"}, "the remainder rows are before dx instead of after it"),
    ):
        yield Variant(
            Mistake(
                "M13", name, remainder, "dx = np.zeros(x.shape)  # then add", "stride-in-backward"
            ),
            "dx",
            changes,
            left,
        )


def _paddings() -> Iterator[Variant]:
    crop = "dx = dx_padded[:, top:top+H, left:left+W]"
    reason = (
        "The windows began in the padding, so what they hand back begins there too. "
        "The gradient by x is the part of it where x was."
    )
    for changes, name, needs in (
        (
            {"meetings.start": "none", "meetings.extent": "with padding"},
            "the padding is not cropped from dx",
            "padding",
        ),
        (
            {"meetings.start": "none", "meetings.extent": "reached with padding"},
            "the padding is not cropped from dx, and the remainder rows are dropped",
            "padding and a remainder",
        ),
        (
            {"meetings.start": "none"},
            "dx is cut from the first row and column, not from behind the padding",
            "padding",
        ),
        (
            {"meetings.start": "after"},
            "dx is cropped by the padding of the other end",
            "padding that differs before and after",
        ),
    ):
        yield Variant(Mistake("M14", name, reason, crop, "full-mode"), "dx", changes, needs)
    padded = "x_padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))"
    for changes, name, needs in (
        ({"meetings.start": "none"}, "x is not padded for dw", "padding"),
        (
            {"meetings.start": "none", "meetings.kept": "whole windows"},
            "x is not padded for dw, and only whole windows are counted",
            "padding",
        ),
        (
            {"meetings.start": "after"},
            "x is padded for dw by the padding of the other end",
            "padding that differs before and after",
        ),
    ):
        yield Variant(
            Mistake(
                "M14",
                name,
                "The forward's windows ran over the padded x, beginning at -top and -left. "
                "dw must see the same pixels under the same taps.",
                padded,
                "full-mode",
            ),
            "dw",
            changes,
            needs,
        )


def _exchanged_axes() -> Iterator[Variant]:
    reason = (
        "The first spatial axis is rows: H, KH, sh, top. "
        "A test with squares cannot see them exchanged with columns."
    )
    index = "flat = ((n*H + p)*W + q)*C + c  # rows outside, columns inside"
    square = "H != W and KH != KW"
    for gradient, changes, name in (
        ("dx", {"written": "hw"}, "H and W are exchanged in dx"),
        ("dx", {"written": "hw written"}, "dx was written with H and W exchanged"),
        ("dx", {"written": "hw read"}, "dx was read with H and W exchanged"),
        ("dx", {"kernel_read": "hw"}, "KH and KW of the kernel are exchanged in dx"),
        ("dx", {"meetings.step": "other axis"}, "the strides of H and W are exchanged in dx"),
        ("dx", {"meetings.start": "other axis"}, "the paddings of H and W are exchanged in dx"),
        ("dw", {"written": "hw"}, "KH and KW are exchanged in dw"),
        ("dw", {"written": "hw written"}, "dw was written with KH and KW exchanged"),
        ("dw", {"written": "hw read"}, "dw was read with KH and KW exchanged"),
        ("dw", {"meetings.step": "other axis"}, "the strides of H and W are exchanged in dw"),
        ("dw", {"meetings.start": "other axis"}, "the paddings of H and W are exchanged in dw"),
    ):
        needs = "sh != sw" if "strides" in name else "top != left" if "paddings" in name else square
        yield Variant(
            Mistake("M16", name, reason, index, "full-mode"),
            gradient,
            changes,
            needs,
        )


def _sums() -> Iterator[Variant]:
    yield Variant(
        Mistake(
            "M7",
            "dw is divided by the number of output positions, OH*OW",
            "A weight is used at every position, and the loss is not a mean over positions. "
            "Its gradient is the sum of what it met, however many positions there are.",
            GATHER + "  # no division",
            "weight-sharing",
        ),
        "dw",
        {"positions": -1},
        "several outputs",
    )
    for gradient in ("dx", "db"):
        yield Variant(
            Mistake(
                "M7",
                f"{gradient} is divided by the number of output positions, OH*OW",
                "The loss depends on every position by itself, and is no mean over them. "
                "The gradient is a sum.",
                SCATTER if gradient == "dx" else "db = dy.sum(axis=(0, 1, 2))",
                "bias-gradient" if gradient == "db" else "full-mode",
            ),
            gradient,
            {"positions": -1},
            "several outputs",
        )
    for gradient in ("dx", "dw", "db"):
        for power, name in (
            (-1, "is divided by the batch size N"),
            (-2, "is divided by the batch size N twice"),
            (1, "is multiplied by the batch size N"),
        ):
            yield Variant(
                Mistake(
                    "M8",
                    f"{gradient} {name}",
                    "Where the loss is a mean over the batch, dy carries the 1/N already. "
                    "The backward pass adds up and neither divides nor multiplies.",
                    {
                        "dx": SCATTER,
                        "dw": GATHER + "  # no division",
                        "db": "db = dy.sum(axis=(0, 1, 2))",
                    }[gradient],
                    "exploding-gradients",
                ),
                gradient,
                {"batch": power},
                "N > 1",
            )
        yield Variant(
            Mistake(
                "M10",
                f"the sign of {gradient} is wrong",
                "The backward pass returns the gradient itself, which points uphill. "
                "The minus belongs to the step of the optimizer, once.",
                f"w -= lr * dw  # and {gradient} without a minus",
                "adam-and-backprop",
            ),
            gradient,
            {"sign": -1},
            "any image",
        )
    yield from _bias()
    yield from _overwritten()


def _bias() -> Iterator[Variant]:
    reason = (
        "A filter has one bias, and every output pixel of every image adds it once. "
        "So its gradient is the sum of dy over N, OH and OW, filter by filter."
    )
    for changes, name, needs in (
        ({"taps": 1}, "db is counted once for every element of the kernel", "a kernel above 1x1"),
        ({"inputs": 1}, "db is counted once for every input channel", "C > 1"),
        ({"taps": 1, "inputs": 1}, "db is counted once for every weight of the filter", "C > 1"),
        ({"form": "one scalar for all"}, "db is one scalar for all filters", "K > 1"),
        ({"form": "one scalar"}, "db is one scalar for all filters", "K > 1"),
        ({"form": "zeros"}, "db is missing: it is zero", "any image"),
        (
            {"form": "one for each row"},
            "db is one number for each row: other axes are summed",
            "OH != K",
        ),
        (
            {"form": "one for each column"},
            "db is one number for each column: other axes are summed",
            "OW != K",
        ),
        (
            {"form": "one for each whole image"},
            "db is one number for each image: other axes are summed",
            "N != K",
        ),
        ({"form": "one for each image"}, "db is not summed over the batch", "N > 1"),
        ({"form": "one for each pixel"}, "db is not summed over the pixels", "several outputs"),
        ({"form": "not summed at all"}, "db is not summed: it is dy", "several outputs"),
    ):
        yield Variant(
            Mistake("M9", name, reason, "db = dy.sum(axis=(0, 1, 2))", "bias-gradient"),
            "db",
            changes,
            needs,
        )


def _overwritten() -> Iterator[Variant]:
    add = "+=, not =: every window, and every image, adds to what is there"
    reason = (
        "Pixels, weights and biases are used more than once, and each use adds to the gradient. "
        "An assignment keeps the last use alone."
    )
    for gradient, changes, name, needs in (
        (
            "dx",
            {"meetings.kept": "last window"},
            "windows overwrite one another in dx: the last one is left",
            "windows that overlap",
        ),
        (
            "dx",
            {"meetings.kept": "last window", "filters": "last"},
            "windows and filters overwrite one another in dx: the last one is left",
            "windows that overlap",
        ),
        (
            "dx",
            {"meetings.kept": "last tap"},
            "taps overwrite one another in dx: the last one is left",
            "windows that overlap",
        ),
        (
            "dw",
            {"meetings.kept": "last output"},
            "positions overwrite one another in dw: the last one is left",
            "several outputs",
        ),
        (
            "dw",
            {"meetings.kept": "last output", "images": "last"},
            "positions and images overwrite one another in dw: the last one is left",
            "N > 1",
        ),
        ("dw", {"images": "last"}, "images overwrite one another in dw: the last is left", "N > 1"),
        ("db", {"images": "last"}, "images overwrite one another in db: the last is left", "N > 1"),
        (
            "db",
            {"form": "last output"},
            "positions overwrite one another in db: the last one is left",
            "several outputs",
        ),
    ):
        yield Variant(Mistake("M21", name, reason, add, "weight-sharing"), gradient, changes, needs)


def _activation() -> Iterator[Variant]:
    for gradient in ("dx", "dw", "db"):
        for value, name in (
            ("never", f"the activation's derivative is missing in {gradient}"),
            ("twice", f"the activation's derivative is applied twice in {gradient}"),
            (
                "z of the output",
                f"the activation's derivative is taken at the output instead of at z in {gradient}",
            ),
            (
                "output of z",
                f"the formula for the derivative from the output is given z in {gradient}",
            ),
        ):
            yield Variant(
                Mistake(
                    "M19",
                    name,
                    "y = g(z), so dL/dz = dL/dy * g'(z), once and at the z of the forward. "
                    "All three gradients are made from dL/dz.",
                    "delta = dy * g_prime(z)  # sigmoid: y*(1-y), tanh: 1-y*y, ReLU: y > 0",
                    "activation-derivative",
                ),
                gradient,
                {"derivative": value},
                "an activation",
            )


VARIANTS: tuple[Variant, ...] = (
    *_rotation(),
    *_forms(),
    *_channels(),
    *_places(),
    *_sums(),
    *_activation(),
)

# Slips that are in no catalogue, told as facts: what, the gradients that have it, and the changes.
SLIPS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("the last row and column of outputs are left out", "dx dw", {"meetings.kept": "but the last"}),
    (
        "the first row and column of outputs are left out",
        "dx dw",
        {"meetings.kept": "but the first"},
    ),
    (
        "windows begin one pixel too early, or dx is cropped one too late",
        "dx dw",
        {"meetings.start": "more"},
    ),
    (
        "windows begin one pixel too late, or dx is cropped one too early",
        "dx dw",
        {"meetings.start": "less"},
    ),
    (
        "the padding is added, not subtracted: pixel i*s + r - top, not i*s + r + top",
        "dx dw",
        {"meetings.start": "other sign"},
    ),
    (
        "the padding is multiplied by the stride: pixel i*s + r - top, not (i - top)*s + r",
        "dx dw",
        {"meetings.start": "strides"},
    ),
    (
        "the stride multiplies the tap, not the output: pixel i*s + r - top, not i + r*s - top",
        "dx dw",
        {"meetings.step": "one", "meetings.dilation": "stride"},
    ),
    (
        "the stride multiplies the tap as well as the output: pixel i*s + r - top, not "
        "(i + r)*s - top",
        "dx dw",
        {"meetings.dilation": "stride"},
    ),
    (
        "it is the correlation in valid mode, where full mode is right",
        "dx",
        {"meetings.start": "valid", "meetings.extent": "valid"},
    ),
    (
        "it is the correlation in same mode, where full mode is right",
        "dx",
        {"meetings.start": "same", "meetings.extent": "same"},
    ),
    (
        "it is the correlation with the forward's padding, where full mode is right: dy needs "
        "KH-1-top rows of zeros around it",
        "dx",
        {"meetings.start": "forward's padding", "meetings.extent": "forward's padding"},
    ),
    (
        "the first window over a pixel is rounded down, and must be rounded up: "
        "docs/questions/ceil-and-clamp.md",
        "dx",
        {"meetings.border": "down"},
    ),
    (
        "dy of NCHW is reshaped to (N*OH*OW, K), which needs dy.transpose(0, 2, 3, 1) first",
        "dx dw db",
        {"dy_read": "nchw"},
    ),
    (
        "dy of NHWC is reshaped to (N, K, OH*OW), which needs dy.transpose(0, 3, 1, 2) first",
        "dx dw db",
        {"dy_read": "nhwc"},
    ),
    ("only the first image of the batch counts", "dx dw db", {"images": "first"}),
    ("only the last image of the batch counts", "dx", {"images": "last"}),
)
