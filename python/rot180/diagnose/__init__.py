"""Names the mistake that a backward pass has."""

from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.optimizers import adam

__all__ = ["Diagnosis", "Finding", "Mistake", "adam"]
