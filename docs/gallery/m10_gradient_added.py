"""The gradient is added instead of subtracted.

The gradient points to where the loss grows. Descent goes the other way.

Symptom: the loss rises from the first step on, until it is infinite or NaN. Where two signs are
wrong (here and in the loss), everything seems right.
"""


def sgd_step(param, grad, lr=0.01):
    return param + lr * grad  # param - lr * grad was meant
