"""Losses and gradients that are infinite or no number: found on the device, at the step they are
made, and left out where that is wanted."""

import functools

import keras
from keras import ops

from tfface.training.distribution import fetch

# Why a step is not finite: its loss; the gradient of the step before, which has spoilt the weights;
# or its own gradient, which `skip_nonfinite_steps` sees.
LOSS, GRADIENT_BEFORE, GRADIENT = 0, 1, 2


class NonFiniteCounter(keras.metrics.Metric):
    """How many steps since the epoch began had a loss that is infinite or no number.

    Attributes:
        steps: seen so far.
        first: the first such step, from 1; 0 for none.
        cause: of that: LOSS, GRADIENT_BEFORE or GRADIENT.
    """

    def __init__(self, name: str = "nonfinite"):
        super().__init__(name=name, dtype="float32")
        names = ("steps", "number", "first", "cause")
        self.steps, self.number, self.first, self.cause = (
            self.add_variable((), initializer="zeros", aggregation="mean", name=name)
            for name in names
        )

    def update_state(self, loss, weights):
        """Notes a step.

        Args:
            loss: of the step.
            weights: by which it was made; some that every gradient reaches.
        """
        steps, *others = map(ops.convert_to_tensor, self.variables)
        bad = ops.logical_not(ops.isfinite(loss))
        cause = ops.where(_are_finite([weights]), LOSS, GRADIENT_BEFORE)
        self.set(noted((steps + 1, *others), bad, cause))

    def set(self, state) -> None:
        """Assigns (steps, number, first, cause)."""
        for variable, value in zip(self.variables, state, strict=True):
            variable.assign(value)

    def result(self):
        return ops.convert_to_tensor(self.number)

    def pop_first(self) -> tuple[int, int]:
        """Returns `first` and `cause`, and forgets them so that the next can be found."""
        found = int(fetch(self.first)), int(fetch(self.cause))
        self.first.assign(0)
        return found


def noted(state, bad, cause):
    """Returns (steps, number, first, cause) with the step noted, if it is `bad`."""
    steps, number, first, cause_before = state
    is_first = ops.logical_and(bad, ops.equal(first, 0))
    return (
        steps,
        number + ops.cast(bad, "float32"),
        ops.where(is_first, steps, first),
        ops.where(is_first, ops.cast(cause, "float32"), cause_before),
    )


def skip_nonfinite_steps(model: keras.Model) -> None:
    """Makes the steps of `fit` leave all as it was where their loss or gradient is not finite.

    Only the optimizer's count of steps goes on, by which schedules go. Takes memory for a second
    copy of weights and moments.

    Args:
        model: compiled; a Recognizer, whose `nonfinite` notes the steps.
    """
    step = functools.partial(type(model).train_step, model)
    if keras.backend.backend() == "jax":
        model.train_step = _functional(model, step)
    else:
        model.train_step = _assigning(model, step)


def _functional(model: keras.Model, step):
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
        metrics[own] = noted(after[3][own], only_update, GRADIENT)
        count = [id(v) for v in model.optimizer.variables].index(id(model.optimizer.iterations))
        optimizer[count] = after[2][count]
        return logs, (trainable, others, optimizer, metrics)

    return train_step


def _assigning(model: keras.Model, step):
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
            nonfinite.set(noted(tuple(nonfinite.variables), only_update, GRADIENT))

        ops.cond(ops.logical_or(bad_loss, bad_update), go_back, lambda: None)
        return logs

    return train_step


def _are_finite(values):
    tensors = [ops.convert_to_tensor(value) for value in values]
    return ops.all(ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors]))
