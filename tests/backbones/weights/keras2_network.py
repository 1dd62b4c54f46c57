"""A small network as Keras 2 saves it, and what it computes.

    TF_USE_LEGACY_KERAS=1 python -m tests.backbones.weights.keras2_network

writes keras2.h5 and keras2.json beside it anew. It needs tf_keras, which is Keras 2.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

from tests.backbones.weights.made_weights import made_images, made_values

HERE = Path(__file__).resolve().parent


@tf_keras.utils.register_keras_serializable(package="elsewhere")
class UnitCenters(layers.Layer):
    """A head that only its own package has."""

    def build(self, shape):
        self.centers = self.add_weight(name="centers", shape=(shape[-1], 5))

    def call(self, embeddings):
        return embeddings @ self.centers


def inner_network():
    given = tf_keras.Input((8, 8, 6))
    features = layers.DepthwiseConv2D(3, padding="same", name="inner_dw")(given)
    return tf_keras.Model(
        given, layers.LayerNormalization(name="inner_norm")(features), name="inner"
    )


def network():
    """Has the layers that Keras 3 makes in another way, and names with slashes."""
    images = tf_keras.Input((16, 12, 3), name="images")
    x = layers.ZeroPadding2D(((0, 1), (2, 3)), name="pad")(images)
    x = layers.Conv2D(6, 3, 2, use_bias=False, kernel_regularizer="l2", name="Conv")(x)
    x = layers.BatchNormalization(epsilon=2e-5, name="Conv/BatchNorm")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    inner = inner_network()
    x = layers.Add(name="add")([x, inner(x)])
    x = layers.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    x = layers.LeakyReLU(0.2, name="leaky")(x)
    squeezed = tf.reduce_mean(x, [1, 2], keepdims=True)
    squeezed = layers.Conv2D(8, 1, activation="hard_sigmoid", name="excite")(squeezed)
    x = layers.Multiply(name="scaled")([x, squeezed])
    x = x * (tf.nn.relu6(x + 3.0) / 6.0)
    shared = layers.Conv2D(4, 1, activation="swish", name="shared")
    x = layers.Concatenate(name="both")([shared(x), shared(layers.Activation("gelu")(x))])
    x = layers.DepthwiseConv2D(x.shape[1:3], use_bias=False, name="GDC_dw")(x)
    x = layers.Conv2D(7, 1, name="GDC_conv")(layers.Dropout(0.4, name="drop")(x))
    x = layers.BatchNormalization(scale=False, name="pre_embedding")(x)
    x = layers.Activation("linear", name="embedding")(layers.Flatten(name="flatten")(x))
    return tf_keras.Model(images, UnitCenters(name="centers")(x), name="net")


def main():
    model = network()
    for variable in model.weights:
        name = variable.name.removesuffix(":0").replace("/", "_")
        # The names by which `made_values` knows what a weight is.
        known = name.replace("moving_variance", "running_var").replace(
            "moving_mean", "running_mean"
        )
        known = (
            known.replace("beta", "bias").replace("centers", "weight").replace("alpha", "weight")
        )
        known = known.replace("gamma", "weight").replace("kernel", "weight")
        variable.assign(made_values(known, tuple(variable.shape)))
    model.compile("sgd", "mse")
    model.save(HERE / "keras2.h5", save_format="h5")
    embedder = tf_keras.Model(model.inputs, model.get_layer("embedding").output)
    found = embedder.predict(made_images(16, 12), verbose=0)
    (HERE / "keras2.json").write_text(json.dumps(np.round(found.astype(float), 6).tolist()) + "\n")


if __name__ == "__main__":
    main()
