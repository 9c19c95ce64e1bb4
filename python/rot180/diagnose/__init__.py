"""Names the mistake that a backward pass has."""

from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.optimizers import adam, adam_layer, adam_trajectory, sgd

__all__ = ["Diagnosis", "Finding", "Mistake", "adam", "adam_layer", "adam_trajectory", "sgd"]
