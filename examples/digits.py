"""A network of the zoo learns scikit-learn's handwritten digits: a trainer, images that are turned
and moved at random, and a learning rate that rises and falls.

Writes digits-curves.png, digits-doubts.png (the held-out images of which the network is least
certain) and the weights, digits.safetensors. Needs pip install "rot180[train]"
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import rot180
from rot180.callbacks import LearningRateSchedule
from rot180.data import Dataset, RandomAffine
from rot180.functional import softmax

EPOCHS, BATCH = 20, 32

digits = rot180.data.load_digits()
moved = RandomAffine(degrees=10, shift=0.5, zoom=0.1)
train = Dataset(digits.x_train, digits.y_train, augmentations=[moved])

model = rot180.models.digits_cnn(rng=0)
adam = rot180.optim.AdamW(model.parameters(), weight_decay=0.05)
steps = EPOCHS * -(-len(train) // BATCH)
one_cycle = rot180.optim.schedules.OneCycleLR(adam, max_lr=0.006, total_steps=steps)
trainer = rot180.Trainer(model, adam, rot180.losses.CrossEntropy())
history = trainer.fit(
    train,
    epochs=EPOCHS,
    batch_size=BATCH,
    validation_data=(digits.x_test, digits.y_test),
    callbacks=[LearningRateSchedule(one_cycle)],
)
history.plot("digits-curves.png")
rot180.io.save_weights("digits.safetensors", model)

probabilities = softmax(trainer.predict(digits.x_test))
predicted = probabilities.argmax(axis=1)
right = probabilities[np.arange(len(predicted)), digits.y_test]
print(f"accuracy on {len(predicted)} held-out images: {np.mean(predicted == digits.y_test):.2%}")

figure = Figure(figsize=(9, 4.4), layout="constrained")
for panel, index in zip(figure.subplots(2, 6).flat, right.argsort(), strict=False):
    panel.imshow(digits.x_test[index, :, :, 0], cmap="gray_r")
    best = predicted[index]
    title = f"{digits.y_test[index]}: {right[index]:.0%}"
    if best != digits.y_test[index]:
        title += f"\ntaken for {best}: {probabilities[index, best]:.0%}"
    panel.set_title(title, fontsize=9, color="black" if best == digits.y_test[index] else "#c2452d")
    panel.axis("off")
figure.suptitle("The held-out digits of which the network is least certain")
figure.savefig("digits-doubts.png", dpi=120)
