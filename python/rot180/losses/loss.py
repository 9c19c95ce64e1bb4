"""What every loss is: forward, backward, and what is kept in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rot180.arguments import FloatArray


class Loss(ABC):
    """A number that says how wrong a batch of predictions is, and its gradient.

    ``forward(prediction, target)`` returns the loss and saves what ``backward()`` needs;
    ``backward()`` returns dL/dprediction. All losses here are means, so the gradient is divided by
    the batch already: the layers only sum.
    """

    _saved: tuple[Any, ...] | None = None

    @abstractmethod
    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch."""

    @abstractmethod
    def backward(self) -> FloatArray:
        """Return dL/dprediction, of the prediction's shape.

        Raises
        ------
        RuntimeError
            If there was no forward before.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _take_saved(self) -> tuple[Any, ...]:
        saved, self._saved = self._saved, None
        if saved is None:
            raise RuntimeError(
                "backward() needs what forward(prediction, target) saves: call it first, "
                "once before each backward"
            )
        return saved
