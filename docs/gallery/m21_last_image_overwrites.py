"""The gradient of each image overwrites that of the one before.

The gradient of a batch is the sum over its images. In a loop over them `=` stands where `+=` was
meant, and the last image of each batch decides alone.

Symptom: with one image in a batch all is well. Larger batches make training no smoother, only
slower: each step is 1/N of the step of a single image.
"""

import numpy as np


class Model:
    """Softmax regression: pixels, one dense layer, probabilities."""

    def __init__(self, features=64, classes=10, lr=0.1):
        self.lr = lr
        self.params = [np.zeros((features, classes)), np.zeros(classes)]

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
        grads = [np.zeros_like(param) for param in self.params]
        for image, d in zip(x, delta, strict=True):
            grads[0] = np.outer(image, d)  # += was meant
            grads[1] = d
        for param, grad in zip(self.params, grads, strict=True):
            param -= self.lr * grad
