"""Which pixels a decision hangs on: the gradient of a digit's score by the image.

Writes saliency.png. Needs pip install "rot180[train]"
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import rot180

digits = rot180.data.load_digits()
model = rot180.models.digits_cnn(rng=0)
adam = rot180.optim.Adam(model.parameters(), lr=3e-3)
trainer = rot180.Trainer(model, adam, rot180.losses.CrossEntropy())
trainer.fit(digits.x_train, digits.y_train, epochs=10)
accuracy = trainer.evaluate(digits.x_test, digits.y_test)["accuracy"]
print(f"accuracy on {len(digits.x_test)} held-out images: {accuracy:.1%}")

# One image of each digit. The score is how far the right logit is above the mean of all ten; its
# gradient by the logits goes in at the end of the network and comes out at the image.
x = np.stack([digits.x_test[digits.y_test == digit][0] for digit in range(10)])
logits = model.forward(x, training=True)
dlogits = np.eye(10, dtype=np.float32) - np.float32(0.1)
dx = model.backward(dlogits)
model.zero_grad()  # the weights got gradients too, which nobody wants

figure = Figure(figsize=(11, 2.7), layout="constrained")
panels = figure.subplots(2, 10)
for digit in range(10):
    above, below = panels[:, digit]
    above.imshow(x[digit, :, :, 0], cmap="gray_r")
    gradient = dx[digit, :, :, 0]
    extreme = np.abs(gradient).max()
    below.imshow(gradient, cmap="RdBu", vmin=-extreme, vmax=extreme)
    for panel in (above, below):
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_color("#dddddd")
panels[0, 0].set_ylabel("image", rotation=0, ha="right", va="center")
panels[1, 0].set_ylabel("gradient", rotation=0, ha="right", va="center")
figure.suptitle("More ink on blue raises the score of the right digit, on red it lowers it")
figure.savefig("saliency.png", dpi=120)
