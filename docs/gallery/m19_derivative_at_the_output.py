"""The activation's derivative is taken at the output, instead of at the input.

sigma'(z) = sigma(z) * (1 - sigma(z)), where z is what went into the activation. The layer has
saved its output, y = sigma(z), and applies sigma to it once more.

Symptom: y lies between 0 and 1, where sigma' is nearly constant, about 0.2: where the unit is
saturated the gradient should vanish, and does not.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_backward(dy, y):
    s = sigmoid(y)  # y is sigmoid(z) already: s = y was meant
    return dy * s * (1 - s)
