"""NaN and infinite losses and gradients: counted on the device, skipped if that is wanted."""

import functools

import keras
from keras import ops

from tfface.training.distribution import fetch

# Why a step is not finite: its loss; the gradient of the step before, which made the weights NaN;
# or its own gradient, which `skip_nonfinite_steps` sees.
LOSS, GRADIENT_BEFORE, GRADIENT = 0, 1, 2


class NonFiniteCounter(keras.metrics.Metric):
    """Counts the steps since the epoch began whose loss is NaN or infinite.

    Attributes:
        steps: seen so far.
        first: the first such step, from 1; 0 for none.
        cause: of that: LOSS, GRADIENT_BEFORE or GRADIENT.

    Example:
        >>> counter = NonFiniteCounter()
        >>> for loss in (1.5, float("nan"), 0.5):
        ...     counter.update_state(ops.convert_to_tensor(loss), ops.ones(3))
        >>> int(counter.result()), counter.pop_first()
        (1, (2, 0))
    """

    def __init__(self, name: str = "nonfinite"):
        super().__init__(name=name, dtype="float32")
        names = ("steps", "number", "first", "cause")
        self.steps, self.number, self.first, self.cause = (
            self.add_variable((), initializer="zeros", aggregation="mean", name=name)
            for name in names
        )

    def update_state(self, loss, weights):
        """Counts a step.

        Args:
            loss: of the step.
            weights: some that the step started from and every gradient reaches.
        """
        steps, *others = map(ops.convert_to_tensor, self.variables)
        bad = ops.logical_not(ops.isfinite(loss))
        cause = ops.where(_are_finite([weights]), LOSS, GRADIENT_BEFORE)
        self.set(counted((steps + 1, *others), bad, cause))

    def set(self, state) -> None:
        """Assigns (steps, number, first, cause)."""
        for variable, value in zip(self.variables, state, strict=True):
            variable.assign(value)

    def result(self):
        return ops.convert_to_tensor(self.number)

    def pop_first(self) -> tuple[int, int]:
        """Returns `first` and `cause`, and resets them so that the next can be found."""
        found = int(fetch(self.first)), int(fetch(self.cause))
        self.first.assign(0)
        return found


def counted(state, bad, cause):
    """Returns (steps, number, first, cause) after one more step, which may be `bad`."""
    steps, number, first, cause_before = state
    is_first = ops.logical_and(bad, ops.equal(first, 0))
    return (
        steps,
        number + ops.cast(bad, "float32"),
        ops.where(is_first, steps, first),
        ops.where(is_first, ops.cast(cause, "float32"), cause_before),
    )


def skip_nonfinite_steps(model: keras.Model) -> None:
    """Makes `fit` skip the update of steps whose loss or gradient is NaN or infinite.

    Only the optimizer's step counter increases, which schedules follow. It needs memory for a
    second copy of weights and moments.

    Args:
        model: compiled; a Recognizer, whose `nonfinite` counts the steps.
    """
    step = functools.partial(type(model).train_step, model)
    if keras.backend.backend() == "jax":
        model.train_step = _jax_step(model, step)
    else:
        model.train_step = _tensorflow_step(model, step)


def _jax_step(model: keras.Model, step):
    """For JAX, where a step takes the state and returns it."""

    def train_step(state, data):
        logs, after = step(state, data)
        place = [id(v) for v in model.metrics_variables].index(id(model.nonfinite.steps))
        own = slice(place, place + len(model.nonfinite.variables))
        bad_loss = after[3][own][1] > state[3][own][1]
        bad_update = ops.logical_not(_are_finite(after[0]))
        good = ops.logical_not(ops.logical_or(bad_loss, bad_update))
        kept = keras.tree.map_structure(lambda new, old: ops.where(good, new, old), after, state)
        trainable, others, optimizer, metrics = (list(part) for part in kept)
        only_update = ops.logical_and(bad_update, ops.logical_not(bad_loss))
        metrics[own] = counted(after[3][own], only_update, GRADIENT)
        count = [id(v) for v in model.optimizer.variables].index(id(model.optimizer.iterations))
        optimizer[count] = after[2][count]
        return logs, (trainable, others, optimizer, metrics)

    return train_step


def _tensorflow_step(model: keras.Model, step):
    """For TensorFlow, where a step assigns variables."""

    def train_step(data):
        nonfinite = model.nonfinite
        left = {id(variable) for variable in (*nonfinite.variables, model.optimizer.iterations)}
        everything = (*model.variables, *model.metrics_variables, *model.optimizer.variables)
        state = {id(v): v for v in everything if id(v) not in left}.values()
        # A tensor of a variable may be the variable itself.
        before = [ops.copy(variable) for variable in state]
        number = ops.copy(nonfinite.number)
        logs = step(data)
        bad_loss = nonfinite.number > number
        bad_update = ops.logical_not(_are_finite(model.trainable_variables))

        def go_back():
            for variable, value in zip(state, before, strict=True):
                variable.assign(value)
            only_update = ops.logical_not(bad_loss)
            nonfinite.set(counted(tuple(nonfinite.variables), only_update, GRADIENT))

        ops.cond(ops.logical_or(bad_loss, bad_update), go_back, lambda: None)
        return logs

    return train_step


def _are_finite(values):
    tensors = [ops.convert_to_tensor(value) for value in values]
    return ops.all(ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors]))
