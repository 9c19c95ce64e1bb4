"""Gradients are not set to zero between steps.

The backward pass adds to the gradients, so that several batches or several uses of a weight can
share one. Somebody has to set them to zero after the step. Here nobody does, and each step goes
along the sum of all gradients so far.

Symptom: the loss falls at first, overshoots, and swings ever wider, as with a momentum of 1. A
smaller learning rate only makes it later.
"""

import numpy as np


class Model:
    """Softmax regression: pixels, one dense layer, probabilities."""

    def __init__(self, features=64, classes=10, lr=0.1):
        self.lr = lr
        self.params = [np.zeros((features, classes)), np.zeros(classes)]
        self.grads = [np.zeros((features, classes)), np.zeros(classes)]

    def probabilities(self, x):
        z = x @ self.params[0] + self.params[1]
        exponentials = np.exp(z - z.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def loss(self, x, labels):
        return -np.mean(np.log(self.probabilities(x)[np.arange(len(x)), labels]))

    def step(self, x, labels):
        delta = self.probabilities(x)
        delta[np.arange(len(x)), labels] -= 1
        delta /= len(x)
        self.grads[0] += x.T @ delta  # self.grads were to be zero here
        self.grads[1] += delta.sum(axis=0)
        for param, grad in zip(self.params, self.grads, strict=True):
            param -= self.lr * grad
