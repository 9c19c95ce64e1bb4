"""What a network looks for, and what it sees: its first filters, and the maps that they and the
second layer make of one digit.

Writes feature_maps.png. Needs pip install "rot180[train]"
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import rot180
from rot180 import Conv2d, Flatten, Linear, MaxPool2d

digits = rot180.data.load_digits()
rng = np.random.default_rng(0)
model = rot180.Sequential(
    [
        Conv2d(1, 12, 3, padding=1, activation="relu", rng=rng),
        Conv2d(12, 24, 3, padding=1, activation="relu", rng=rng),
        MaxPool2d(2),
        Flatten(),
        Linear(4 * 4 * 24, 10, rng=rng),
    ]
)
adam = rot180.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
trainer = rot180.Trainer(model, adam, rot180.losses.CrossEntropy())
trainer.fit(digits.x_train, digits.y_train, epochs=15)
accuracy = trainer.evaluate(digits.x_test, digits.y_test)["accuracy"]
print(f"accuracy on {len(digits.x_test)} held-out images: {accuracy:.1%}")

first, second = model[0], model[1]
filters = first.weight.value[:, :, 0, :]  # (3, 3, 12)
image = digits.x_test[digits.y_test == 5][0]
first_maps = first.forward(image)  # (8, 8, 12)
second_maps = second.forward(first_maps)  # (8, 8, 24)

figure = Figure(figsize=(11, 5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 7])
panel = left.subplots()
panel.imshow(image[:, :, 0], cmap="gray_r")
panel.axis("off")
panel.set_title("the image", fontsize=10)

top, middle, bottom = right.subfigures(3, 1, height_ratios=[1, 1, 2])
extreme = np.abs(filters).max()
for part, rows, name, stack, options in (
    (
        top,
        1,
        "filters of the first layer: blue adds, red takes away",
        filters,
        {"cmap": "RdBu", "vmin": -extreme, "vmax": extreme},
    ),
    (middle, 1, "what each of them answers to the image", first_maps, {"cmap": "magma"}),
    (bottom, 2, "what the second layer makes of the answers", second_maps, {"cmap": "magma"}),
):
    part.suptitle(name, fontsize=10)
    for index, panel in enumerate(part.subplots(rows, 12).flat):
        panel.imshow(stack[:, :, index], **options)
        panel.axis("off")
figure.savefig("feature_maps.png", dpi=120)
