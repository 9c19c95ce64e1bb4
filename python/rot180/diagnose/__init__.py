"""Names the mistake that a backward pass has."""

from rot180.diagnose.activations import activation_backward
from rot180.diagnose.conv2d import conv2d_backward
from rot180.diagnose.dense import linear_backward
from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.dumped import conv2d_arrays
from rot180.diagnose.losses import softmax_cross_entropy_backward
from rot180.diagnose.optimizers import adam, adam_layer, adam_trajectory, sgd
from rot180.diagnose.pooling import avg_pool2d_backward, max_pool2d_backward
from rot180.diagnose.training import training_step

__all__ = [
    "Diagnosis",
    "Finding",
    "Mistake",
    "activation_backward",
    "adam",
    "adam_layer",
    "adam_trajectory",
    "avg_pool2d_backward",
    "conv2d_arrays",
    "conv2d_backward",
    "linear_backward",
    "max_pool2d_backward",
    "sgd",
    "softmax_cross_entropy_backward",
    "training_step",
]
