"""Pins losses, logits and gradients of every head for fixed weights and embeddings."""

import tensorflow as tf
from keras import ops

from tests.golden import inputs, internals, summaries

_BATCH, _SIZE = 6, 8
_IDENTITIES = [0, 3, 1, 4, 4, 2]
_STEPS_PER_EPOCH = 2


def every() -> dict:
    """Pins all heads; a new head is included as soon as it is in the package's table."""
    return {"values": {name: _pin(name) for name in internals.head_names()}}


def _pin(name: str) -> dict:
    known = internals.head_options(name)
    pinned = {"defaults": _Example(name).everything()}
    if "label_smoothing" in known:
        pinned["label smoothing"] = _Example(name, label_smoothing=0.1).losses(training=False)
    if "margin_warmup_epochs" in known:
        # As many steps as the head has seen.
        pinned["warm-up finished"] = _Example(name, margin_warmup_epochs=1.0).losses(training=True)
    if "sample_rate" in known:
        # Rounded, these are all five identities, but they go through sampling.
        all_drawn = _Example(name, margin_warmup_epochs=1.0, sample_rate=0.99)
        pinned["all centers sampled"] = all_drawn.losses(training=True)
    return pinned


class _Example:
    """A head after two training steps, and a batch."""

    def __init__(self, name: str, **options):
        num_identities = 2 if name == "sigmoid" else 5
        self.head = internals.build_head(name, options, num_identities, _SIZE, _STEPS_PER_EPOCH)
        for place, weight in enumerate(self.head.trainable_weights):
            weight.assign(inputs.uniform(place, weight.shape))
        self.identities = tf.constant(_IDENTITIES) % num_identities
        for step in range(_STEPS_PER_EPOCH):
            internals.head_losses(self.head, _embeddings(step), self.identities, training=True)
        self.embeddings = _embeddings(_STEPS_PER_EPOCH)

    def everything(self) -> dict:
        pinned = {
            way: self.losses(training=way == "training") for way in ("evaluation", "training")
        }
        if internals.has_classes(self.head):
            pinned["logits"] = summaries.of_array(ops.convert_to_numpy(self.head(self.embeddings)))
        # Counters and moving averages after three steps.
        pinned["state"] = [
            float(weight)
            for weight in self.head.non_trainable_weights
            if "seed_generator" not in weight.path
        ]
        return pinned

    def losses(self, *, training: bool) -> dict:
        """Returns losses, top-1 hits, and gradients of the mean loss."""
        weights = [weight.value for weight in self.head.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch(self.embeddings)
            losses, found = internals.head_losses(
                self.head, self.embeddings, self.identities, training=training
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [self.embeddings, *weights])
        return {
            "losses": [float(value) for value in losses],
            "found": [int(value) for value in found],
            "gradients": [
                # With sampled centers, the gradient is sparse.
                summaries.of_array(tf.convert_to_tensor(gradient).numpy())
                for gradient in gradients
            ],
        }


def _embeddings(step: int) -> tf.Tensor:
    # Of norm 13 or so, where the margins of AdaFace and MagFace are not clipped.
    return tf.constant(inputs.uniform(100 + step, (_BATCH, _SIZE), -8, 8))
