"""Names the mistake that a backward pass has."""

from rot180.diagnose.conv2d import conv2d_arrays, conv2d_backward
from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.optimizers import adam

__all__ = ["Diagnosis", "Finding", "Mistake", "adam", "conv2d_arrays", "conv2d_backward"]
