"""Measurements: run from the top of the repository, for example ``python -m bench.compare``."""
