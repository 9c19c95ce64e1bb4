"""Training: the trainer, checkpoints, and what the trainer is made of."""
