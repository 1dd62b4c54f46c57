"""Drawing some of many, each of which drew a number."""

from keras import ops

from tfface.kernels.placing import is_on_tensorflow_cpu


def places_of_largest(numbers, count: int):
    """Returns where the largest numbers are: int32 [count], rising.

    Args:
        numbers: float32 [n], each uniform on [0, 1), but for some above these.
        count: int in [1, n].
    """
    if is_on_tensorflow_cpu():
        from tfface.kernels import tensorflow_drawing

        return tensorflow_drawing.places_of_largest(numbers, count)
    _, places = ops.top_k(numbers, count, sorted=False)
    return ops.sort(ops.cast(places, "int32"))
