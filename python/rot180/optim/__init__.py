"""Optimizers and gradient clipping."""

from __future__ import annotations

from rot180.optim.adam import Adam, AdamW
from rot180.optim.clip import clip_grad_norm, clip_grad_value
from rot180.optim.optimizer import Optimizer
from rot180.optim.rmsprop import RMSprop
from rot180.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm", "clip_grad_value"]
