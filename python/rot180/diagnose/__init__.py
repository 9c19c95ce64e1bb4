"""Names the mistake that a backward pass has."""

from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake

__all__ = ["Diagnosis", "Finding", "Mistake"]
