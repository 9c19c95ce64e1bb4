"""An autoencoder squeezes handwritten digits of 64 pixels into 16 numbers and draws them again.

Writes autoencoder.png: held-out digits above what became of them, and digits that turn into one
another as the numbers between their codes are decoded. Needs pip install "rot180[train]"
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

import rot180

EPOCHS = 40

digits = rot180.data.load_digits()
x_train, x_test = digits.x_train, digits.x_test

model = rot180.models.autoencoder(input_shape=(8, 8, 1), channels=(32, 64), code_channels=4, rng=0)
encoder, decoder = model
adam = rot180.optim.Adam(model.parameters())
steps = EPOCHS * -(-len(x_train) // 32)
one_cycle = rot180.optim.schedules.OneCycleLR(adam, max_lr=0.01, total_steps=steps)
trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
trainer.fit(
    x_train,
    x_train,  # an image is its own target
    epochs=EPOCHS,
    validation_data=(x_test, x_test),
    callbacks=[rot180.callbacks.LearningRateSchedule(one_cycle)],
)
drawn = trainer.predict(x_test)
error = np.mean((drawn - x_test) ** 2) / np.var(x_test)
print(f"lost of the held-out images' variance: {error:.1%}")

# From each digit to the next one: straight lines between their codes.
stops = [int(np.flatnonzero(digits.y_test == digit)[0]) for digit in (3, 8, 6, 0)]
codes = encoder.forward(x_test[stops])
share = np.linspace(0, 1, 5, dtype=np.float32)[:-1, np.newaxis, np.newaxis, np.newaxis]
lines = [(1 - share) * a + share * b for a, b in pairwise(codes)]
morphs = decoder.forward(np.concatenate([*lines, codes[-1:]]))

figure = Figure(figsize=(9.6, 2.4), layout="constrained")
grid = figure.subplots(3, 13)
for row, (name, images) in enumerate(
    {"held-out digits": x_test, "from 16 numbers": drawn, "from 3 to 8, 6, 0": morphs}.items()
):
    for panel, image in zip(grid[row], images, strict=False):
        panel.imshow(image[:, :, 0], cmap="gray_r", vmin=0, vmax=1)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_color("#dddddd")
    grid[row][0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.savefig("autoencoder.png", dpi=120)
