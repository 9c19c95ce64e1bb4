"""rot180 trains convolutional networks on a CPU, with NumPy arrays in and out.

Layers and training are here; the functions they are made of in `rot180.functional`, and the same
functions in plain NumPy, to be read, in `rot180.reference`.
"""

from rot180 import (
    _core,
    callbacks,
    checkpoint,
    data,
    functional,
    init,
    io,
    losses,
    memory,
    metrics,
    models,
    optim,
    reference,
)
from rot180.history import History
from rot180.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Container,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Parameter,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    ZeroPad2d,
)
from rot180.runtime import (
    algorithm,
    build_info,
    get_num_threads,
    instruction_set,
    set_algorithm,
    set_instruction_set,
    set_num_threads,
)
from rot180.teaching import loops
from rot180.teaching.correlation import (
    convolve2d,
    correlate2d,
    full_mode_size,
    interleave_zeros,
    rot180,
)
from rot180.teaching.matrices import col2im, conv_matrix, im2col
from rot180.trainer import Trainer

__version__ = _core.version()

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "History",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Trainer",
    "ZeroPad2d",
    "algorithm",
    "build_info",
    "callbacks",
    "checkpoint",
    "col2im",
    "conv_matrix",
    "convolve2d",
    "correlate2d",
    "data",
    "full_mode_size",
    "functional",
    "get_num_threads",
    "im2col",
    "init",
    "instruction_set",
    "interleave_zeros",
    "io",
    "loops",
    "losses",
    "memory",
    "metrics",
    "models",
    "optim",
    "reference",
    "rot180",
    "set_algorithm",
    "set_instruction_set",
    "set_num_threads",
]
