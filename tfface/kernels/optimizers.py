"""Optimizers whose update is one or two passes over weights and moments.

Keras writes an update as a dozen operations, each of which reads and writes arrays as large as the
weights. On TensorFlow these classes use its own fused operations instead; formulas and moments are
Keras' own. On other backends, which compile a step, you get Keras' optimizers.

Weight decay is applied here in the update of a variable, not to all variables before it as in
Keras: by then only the variable holds the weights, so TensorFlow need not copy them to change them.
"""

from typing import Any

import keras

from tfface.kernels.keras_internals import DecayInUpdate, adam_moments, sgd_momentum


def sgd(*arguments: Any, **options: Any) -> keras.optimizers.Optimizer:
    """keras.optimizers.SGD; its arguments."""
    return _fused(SGD, keras.optimizers.SGD)(*arguments, **options)


def adam(*arguments: Any, **options: Any) -> keras.optimizers.Optimizer:
    """keras.optimizers.Adam; its arguments."""
    return _fused(Adam, keras.optimizers.Adam)(*arguments, **options)


def adamw(*arguments: Any, **options: Any) -> keras.optimizers.Optimizer:
    """keras.optimizers.AdamW; its arguments."""
    return _fused(AdamW, keras.optimizers.AdamW)(*arguments, **options)


def _fused(fused: type, plain: type) -> type[keras.optimizers.Optimizer]:
    return fused if keras.backend.backend() == "tensorflow" else plain


class _FusedUpdate(DecayInUpdate):
    def update_step(self, gradient, variable, learning_rate):
        import tensorflow as tf

        if self.decays(variable):
            rate, decay = (tf.cast(x, variable.dtype) for x in (learning_rate, self.weight_decay))
            with tf.control_dependencies([gradient]):
                variable.assign(variable * (1 - rate * decay))
        self._update(gradient, variable, learning_rate)


class SGD(_FusedUpdate, keras.optimizers.SGD):
    """keras.optimizers.SGD by fused operations of TensorFlow.

    Example:
        >>> weight = keras.Variable([1.0])
        >>> SGD(0.5).apply([keras.ops.ones(1)], [weight])
        >>> weight.numpy().tolist()
        [0.5]
    """

    def _update(self, gradient, variable, learning_rate):
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):
            keras.optimizers.SGD.update_step(self, gradient, variable, learning_rate)
            return
        rate = tf.cast(learning_rate, variable.dtype)
        gradient = tf.cast(gradient, variable.dtype)
        if self.momentum == 0:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=sgd_momentum(self, variable).value.handle,
            lr=rate,
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class _FusedAdam(_FusedUpdate):
    def _update(self, gradient, variable, learning_rate):
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            keras.optimizers.Adam.update_step(self, gradient, variable, learning_rate)
            return
        first, second = adam_moments(self, variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1, beta_2 = (tf.cast(beta, variable.dtype) for beta in (self.beta_1, self.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.value.handle,
            v=second.value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )


class Adam(_FusedAdam, keras.optimizers.Adam):
    """keras.optimizers.Adam by a fused operation of TensorFlow."""


class AdamW(_FusedAdam, keras.optimizers.AdamW):
    """keras.optimizers.AdamW by a fused operation of TensorFlow.

    Example:
        >>> weight = keras.Variable([1.0])
        >>> AdamW(0.5, weight_decay=0.0).apply([keras.ops.ones(1)], [weight])
        >>> weight.numpy().round(3).tolist()
        [0.5]
    """
