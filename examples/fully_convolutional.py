"""A fully convolutional network without activations finds out what filter was laid over pictures.

Two convolutions in a row are one convolution: kernels of 3x3 can learn any filter of 5x5. The
network learns from handwritten digits of 8x8 pixels, without and with the filter, and then takes a
photograph, because a convolution takes images of any size.

Writes fully_convolutional.png. Needs pip install "rot180[train]"
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image

import rot180
from rot180.functional import conv2d

EPOCHS = 40

# The filter that is to be found: how much darker a picture gets towards the lower right, smoothed.
i, j = np.mgrid[-2:3, -2:3]
secret = -(i + j) * np.exp(-(i**2 + j**2) / 2.5)
secret = secret.astype(np.float32).reshape(5, 5, 1, 1)

digits = rot180.data.load_digits().x_train
filtered = conv2d(digits, secret)  # (1347, 4, 4, 1)

rng = np.random.default_rng(0)
model = rot180.Sequential(
    [rot180.Conv2d(1, 8, 3, bias=False, rng=rng), rot180.Conv2d(8, 1, 3, bias=False, rng=rng)]
)
adam = rot180.optim.Adam(model.parameters())
steps = EPOCHS * -(-len(digits) // 32)
one_cycle = rot180.optim.schedules.OneCycleLR(adam, max_lr=0.03, total_steps=steps)
trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
schedule = rot180.callbacks.LearningRateSchedule(one_cycle)
trainer.fit(digits, filtered, epochs=EPOCHS, callbacks=[schedule])

# What both layers are together shows in their answer to one bright pixel, turned by 180 degrees.
pixel = np.zeros((9, 9, 1), np.float32)
pixel[4, 4] = 1
found = rot180.rot180(model.forward(pixel)[:, :, 0])
photo = load_sample_image("china.jpg").mean(axis=2, keepdims=True).astype(np.float32) / 255
right, seen = conv2d(photo, secret), model.forward(photo)  # (423, 636, 1)
print(f"largest error of the kernel: {np.abs(found - secret[:, :, 0, 0]).max():.1e}")
print(f"largest error on a photograph of 427x640: {np.abs(seen - right).max():.1e}")

figure = Figure(figsize=(9.4, 4.6), layout="constrained")
panels = figure.subplots(2, 3, width_ratios=[1, 1.6, 1.6])
extreme = np.abs(secret).max()
kernels = {"cmap": "RdBu", "vmin": -extreme, "vmax": extreme}
small, large = ({"cmap": "gray", "vmin": -limit, "vmax": limit} for limit in (1.5, 4))
for panel, title, image, options in zip(
    panels.flat,
    [
        "the filter",
        "a digit: the network learns from these",
        "through the filter: its targets",
        "the filter that was learned",
        "a photograph, which the network has never seen",
        "through the network",
    ],
    [secret[:, :, 0], digits[0], filtered[0], found, photo, seen],
    [kernels, {"cmap": "gray"}, large, kernels, {"cmap": "gray"}, small],
    strict=True,
):
    panel.imshow(image, **options)
    panel.set_title(title, fontsize=10)
    panel.axis("off")
figure.savefig("fully_convolutional.png", dpi=120)
