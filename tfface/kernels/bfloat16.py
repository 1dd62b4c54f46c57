"""Networks in inference that compute in bfloat16 on a processor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from tfface.typing import Tensor

_OPTION = "auto_mixed_precision_onednn_bfloat16"


def frozen_in_bfloat16(
    function: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    """Compiles a function of images so that it computes in bfloat16; on TensorFlow, on a CPU.

    Its variables become constants. So TensorFlow folds batch norms into convolutions, in float32,
    and then rewrites convolutions, matrix products and what lies between them to bfloat16; what
    needs float32, as sums of many values, keeps it.

    Args:
        function: uint8 images -> float32 embeddings; what it reads of variables must not change.
        shape: of the images: [batch, height, width, channels].

    Returns:
        The function from array to array.

    Example:
        >>> import keras
        >>> half = frozen_in_bfloat16(lambda images: keras.ops.cast(images, "float32"), (1, 2))
        >>> half(np.array([[1, 2]], np.uint8)).tolist()
        [[1.0, 2.0]]
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(function, autograph=False)
    frozen = convert_variables_to_constants_v2(
        traced.get_concrete_function(tf.TensorSpec(shape, tf.uint8))
    )

    def run(images: np.ndarray) -> np.ndarray:
        # At each call: it belongs to what TensorFlow finds the compiled function by.
        with _rewriting_to_bfloat16():
            [outputs] = frozen(tf.constant(images))
        return outputs.numpy()

    return run


@contextmanager
def _rewriting_to_bfloat16() -> Iterator[None]:
    import tensorflow as tf

    # The optimizer of graphs does it, which a program may have turned off.
    options = {_OPTION: True, "disable_meta_optimizer": False}
    set_before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options(options)
    try:
        yield
    finally:
        before = {name: set_before.get(name, False) for name in options}
        tf.config.optimizer.set_experimental_options(before)
