"""Names the mistake that a backward pass has."""

from rot180.diagnose.conv2d import conv2d_backward
from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.dumped import conv2d_arrays
from rot180.diagnose.optimizers import adam, adam_layer, adam_trajectory, sgd

__all__ = [
    "Diagnosis",
    "Finding",
    "Mistake",
    "adam",
    "adam_layer",
    "adam_trajectory",
    "conv2d_arrays",
    "conv2d_backward",
    "sgd",
]
