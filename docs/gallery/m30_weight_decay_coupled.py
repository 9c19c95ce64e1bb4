"""Weight decay is coupled where decoupled was meant: this is Adam with L2, not AdamW.

Added to the gradient, the decay is divided by the root of v like everything else. Weights with
large gradients then hardly decay, those with small ones decay too much. AdamW takes it off the
weight itself, beside the step.

Symptom: the value of weight_decay from an AdamW recipe does next to nothing for some weights, and
eats others up.
"""

import numpy as np


def adamw_step(param, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    grad = grad + weight_decay * param  # param -= lr * weight_decay * param was meant
    m[...] = beta1 * m + (1 - beta1) * grad
    v[...] = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    param -= lr * m_hat / (np.sqrt(v_hat) + eps)
