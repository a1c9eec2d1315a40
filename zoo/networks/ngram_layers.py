"""Layers for bags of hashed n-grams: tf-idf weights, and dense layers whose input is sparse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo.data.ragged import Ragged
from zoo.preprocessing.ngrams import NGRAMS


@keras.saving.register_keras_serializable("zoo")
class WeighNgrams(keras.layers.Layer):
    """Computes tf-idf weights of n-grams; those of words have length 1 together, as have those of characters.

    An n-gram that occurs n times has the weight (1 + log n) times its inverse document frequency (Salton and Buckley
    1988, "Term-weighting approaches in automatic text retrieval"); one that no training text has, the weight 0.

    Args:
        buckets: Number of buckets for n-grams of words, then as many for those of characters.

    Call arguments:
        pairs: Bucket and count of each n-gram (B, T, 2).
        length: Number of n-grams of each text (B,); the rest is padding.
    """

    def __init__(self, buckets: int, **options: Any) -> None:
        super().__init__(autocast=False, **{**options, "dtype": "float32"})
        self.buckets = buckets

    def build(self, pairs_shape: Any, length_shape: Any) -> None:
        """Create the inverse document frequencies, which :meth:`adapt_to` sets."""
        shape = (2 * self.buckets,)
        self.idf = self.add_weight(shape=shape, initializer="ones", trainable=False, name="idf")

    def adapt_to(self, inputs: Mapping[str, Any]) -> None:
        """Set the inverse document frequencies to those of preprocessed texts, as scikit-learn defines them.

        Args:
            inputs: Preprocessed tensors by name, of the training split.
        """
        pairs = inputs[NGRAMS]
        assert isinstance(pairs, Ragged)
        codes = pairs.values[:, 0][pairs.values[:, 1] > 0].astype(np.int64)
        texts = np.bincount(codes, minlength=2 * self.buckets)
        idf = np.log((1 + len(pairs)) / (1 + texts)) + 1
        self.idf.assign(np.where(texts > 0, idf, 0).astype(np.float32))

    def call(self, pairs: Any, length: Any) -> list[Any]:
        """Return buckets and weights, (B, T) each."""
        codes, counts = ops.cast(pairs[..., 0], "int32"), pairs[..., 1]
        real = ops.arange(ops.shape(pairs)[1], dtype="int32")[None, :] < ops.cast(length, "int32")[:, None]
        logarithms = ops.log(ops.maximum(counts, 1.0))
        weights = ops.where(real & (counts > 0), (1 + logarithms) * ops.take(self.idf, codes), 0.0)
        words = ops.cast(codes < self.buckets, weights.dtype)
        squares = ops.square(weights)
        of_words = ops.sum(squares * words, axis=1, keepdims=True)
        of_characters = ops.sum(squares * (1 - words), axis=1, keepdims=True)
        return [codes, weights * ops.rsqrt(ops.maximum(words * of_words + (1 - words) * of_characters, 1e-12))]

    def compute_output_spec(self, pairs: Any, length: Any) -> list[Any]:
        """Return the specs of buckets and weights."""
        return [keras.KerasTensor(pairs.shape[:2], dtype=kind) for kind in ("int32", "float32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "buckets": self.buckets}


@keras.saving.register_keras_serializable("zoo")
class SparseDense(keras.layers.Layer):
    """A dense layer whose input is sparse: of each row, columns and their values.

    Args:
        columns: Number of columns.
        units: Width of the output.
        use_bias: Whether a bias is added.
        kernel_initializer: Initializer of the kernel (columns, units).
        kernel_regularizer: Regularizer of the kernel; None for none.

    Call arguments:
        inputs: Columns (B, T) and their values (B, T).
    """

    def __init__(
        self,
        columns: int,
        units: int,
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(autocast=False, **{**options, "dtype": "float32"})
        self.columns, self.units, self.use_bias = columns, units, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.supports_jit = False  # the number of values that are not zero depends on the rows

    def build(self, input_shape: Any) -> None:
        """Create kernel and bias."""
        self.kernel = self.add_weight(
            shape=(self.columns, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return (B, units)."""
        columns, values = inputs
        if training:
            output = self._multiply_sparse(columns, values)
        else:  # an export has no operations on sparse tensors
            output = ops.sum(ops.take(self.kernel, columns, axis=0) * values[..., None], axis=1)
        return output + self.bias if self.use_bias else output

    def _multiply_sparse(self, columns: Any, values: Any) -> Any:
        """Return the product with the kernel; its gradient is several times as fast as that of a look-up."""
        places = tf.where(values != 0)  # (N, 2): row, and place in it
        indices = tf.stack([places[:, 0], tf.cast(tf.gather_nd(columns, places), tf.int64)], axis=1)
        shape = tf.stack([tf.shape(columns, out_type=tf.int64)[0], self.columns])
        sparse = tf.SparseTensor(indices, tf.gather_nd(values, places), shape)
        return tf.sparse.sparse_dense_matmul(sparse, tf.convert_to_tensor(self.kernel))

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        """Return the spec of the output (B, units)."""
        return keras.KerasTensor((inputs[0].shape[0], self.units), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "columns": self.columns,
            "units": self.units,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
