"""One HTML page that shows a convolution and its gradients, term by term."""

from __future__ import annotations

from rot180.explainer.explanation import MISTAKES, VIEWS, Explanation, explain

__all__ = ["MISTAKES", "VIEWS", "Explanation", "explain"]
