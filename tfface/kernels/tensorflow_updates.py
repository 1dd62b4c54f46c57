"""The updates of Keras' optimizers by TensorFlow's own operations.

Keras writes an update as a dozen operations, each of which reads and writes arrays as large as the
weights; these do it in one or two passes. The formulas are the same, and so are the moments.

Weight decay is applied here, where there is a gradient, and not before all updates as in Keras: by
then nobody else holds the weights, and TensorFlow need not copy what it is to change.
"""

import keras
import tensorflow as tf


class _DecayLast:
    def _apply_weight_decay(self, variables):
        """Leaves it to `update_step`."""

    def update_step(self, gradient, variable, learning_rate):
        if self.weight_decay is not None and self._use_weight_decay(variable):
            rate, decay = (tf.cast(x, variable.dtype) for x in (learning_rate, self.weight_decay))
            with tf.control_dependencies([gradient]):
                variable.assign(variable * (1 - rate * decay))
        self._update(gradient, variable, learning_rate)


class SGD(_DecayLast, keras.optimizers.SGD):
    def _update(self, gradient, variable, learning_rate):
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
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=rate,
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class _Adam(_DecayLast):
    def _update(self, gradient, variable, learning_rate):
        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            keras.optimizers.Adam.update_step(self, gradient, variable, learning_rate)
            return
        place = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1, beta_2 = (tf.cast(beta, variable.dtype) for beta in (self.beta_1, self.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )


class Adam(_Adam, keras.optimizers.Adam):
    pass


class AdamW(_Adam, keras.optimizers.AdamW):
    pass
