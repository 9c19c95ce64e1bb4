"""Every pass in plain NumPy: the specification that can be run.

The names and signatures are those of `rot180.functional` (without `algorithm`, `out` and
`bias_out`), the arrays NHWC and HWIO, float32 or float64. Nothing here is fast: the only loops run
over the taps of a kernel, and each function is its formula and little else.
"""

from __future__ import annotations

from rot180.reference.activation import (
    elu,
    elu_grad_input,
    gelu,
    gelu_grad_input,
    leaky_relu,
    leaky_relu_grad_input,
    relu,
    relu6,
    relu6_grad_input,
    relu_grad_input,
    sigmoid,
    sigmoid_grad_input,
    silu,
    silu_grad_input,
    tanh,
    tanh_grad_input,
)
from rot180.reference.add import add, add_grad_input
from rot180.reference.affine2d import affine2d
from rot180.reference.conv2d import (
    conv2d,
    conv2d_grad_bias,
    conv2d_grad_input,
    conv2d_grad_weight,
)
from rot180.reference.conv_transpose2d import (
    conv_transpose2d,
    conv_transpose2d_grad_input,
    conv_transpose2d_grad_weight,
)
from rot180.reference.dropout import dropout
from rot180.reference.group_norm import (
    group_norm,
    group_norm_grad_input,
    group_norm_grad_weight,
    layer_norm,
    layer_norm_grad_input,
    layer_norm_grad_weight,
)
from rot180.reference.linear import (
    linear,
    linear_grad_bias,
    linear_grad_input,
    linear_grad_weight,
)
from rot180.reference.loss import (
    binary_cross_entropy,
    binary_cross_entropy_grad_input,
    huber,
    huber_grad_input,
    mean_absolute_error,
    mean_absolute_error_grad_input,
    mean_squared_error,
    mean_squared_error_grad_input,
)
from rot180.reference.norm import (
    batch_norm,
    batch_norm_grad_input,
    batch_norm_grad_weight,
    batch_norm_training,
)
from rot180.reference.optim import (
    adam_step,
    clip_grad_norm,
    ema_step,
    rmsprop_step,
    sgd_step,
)
from rot180.reference.pool2d import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_grad_input,
    avg_pool2d,
    avg_pool2d_grad_input,
    max_pool2d,
    max_pool2d_grad_input,
)
from rot180.reference.softmax import (
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_grad_input,
    softmax_grad_input,
)
from rot180.reference.upsample2d import upsample2d, upsample2d_grad_input

__all__ = [
    "adam_step",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad_input",
    "add",
    "add_grad_input",
    "affine2d",
    "avg_pool2d",
    "avg_pool2d_grad_input",
    "batch_norm",
    "batch_norm_grad_input",
    "batch_norm_grad_weight",
    "batch_norm_training",
    "binary_cross_entropy",
    "binary_cross_entropy_grad_input",
    "clip_grad_norm",
    "conv2d",
    "conv2d_grad_bias",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv_transpose2d",
    "conv_transpose2d_grad_input",
    "conv_transpose2d_grad_weight",
    "dropout",
    "elu",
    "elu_grad_input",
    "ema_step",
    "gelu",
    "gelu_grad_input",
    "group_norm",
    "group_norm_grad_input",
    "group_norm_grad_weight",
    "huber",
    "huber_grad_input",
    "layer_norm",
    "layer_norm_grad_input",
    "layer_norm_grad_weight",
    "leaky_relu",
    "leaky_relu_grad_input",
    "linear",
    "linear_grad_bias",
    "linear_grad_input",
    "linear_grad_weight",
    "max_pool2d",
    "max_pool2d_grad_input",
    "mean_absolute_error",
    "mean_absolute_error_grad_input",
    "mean_squared_error",
    "mean_squared_error_grad_input",
    "relu",
    "relu6",
    "relu6_grad_input",
    "relu_grad_input",
    "rmsprop_step",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad_input",
    "silu",
    "silu_grad_input",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad_input",
    "softmax_grad_input",
    "tanh",
    "tanh_grad_input",
    "upsample2d",
    "upsample2d_grad_input",
]
