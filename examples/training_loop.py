"""The training loop by hand: a convolutional network learns scikit-learn's handwritten digits.

Needs scikit-learn: pip install "rot180[train]"
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

import rot180

rng = np.random.default_rng(0)
images, labels = load_digits(return_X_y=True)
x = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)  # 1797 images, (N, H, W, C)
order = rng.permutation(len(x))
train, test = order[450:], order[:450]

model = rot180.Sequential(
    [
        rot180.Conv2d(1, 16, 3, padding=1, activation="relu", rng=rng),
        rot180.Conv2d(16, 32, 3, padding=1, activation="relu", rng=rng),
        rot180.MaxPool2d(2),
        rot180.Flatten(),
        rot180.Linear(4 * 4 * 32, 10, rng=rng),
    ]
)
loss = rot180.losses.CrossEntropy()
adam = rot180.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(1, 16):
    total = 0.0
    for batch in np.array_split(rng.permutation(train), len(train) // 32):
        logits = model.forward(x[batch], training=True)  # forward: logits, one row an image
        total += loss.forward(logits, labels[batch]) * len(batch)
        adam.zero_grad()  # gradients add up, so start again from zero
        dlogits = loss.backward()  # backward: dL/dlogits first,
        model.backward(dlogits, input_grad=False)  # then through the layers, the last one first
        adam.step()  # each parameter takes a step against its gradient
    print(f"epoch {epoch:2}: loss {total / len(train):.4f}")

predicted = model.forward(x[test]).argmax(axis=1)
print(f"accuracy on {len(test)} held-out images: {np.mean(predicted == labels[test]):.1%}")
