"""Preprocessing of text columns: bag of words with tf-idf weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.sequences import EncodeText


@keras.saving.register_keras_serializable("zoo")
class BagOfWords(keras.layers.Layer):
    """Computes tf-idf weights of the words of a text, normalised to length 1.

    A word that occurs n times has the weight (1 + log n) times its inverse document frequency (Salton and Buckley
    1988, "Term-weighting approaches in automatic text retrieval").

    Args:
        vocabulary: The V words.
        idf: Inverse document frequency of each word.

    Call arguments:
        texts: (B,) of text; a text without words of the vocabulary becomes all zeros.
    """

    def __init__(self, vocabulary: Sequence[str], idf: Sequence[float], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.vocabulary, self.idf = list(vocabulary), list(idf)
        self.supports_jit = False
        self.tokens = EncodeText(self.vocabulary, "word")
        self.built = True

    def call(self, texts: Any) -> Any:
        """Return the weights (B, V), float32."""
        codes, _ = self.tokens(texts)  # 0 is unknown, and padding
        size = len(self.vocabulary) + 1
        counts = tf.cast(tf.math.bincount(codes, minlength=size, maxlength=size, axis=-1), tf.float32)[:, 1:]
        weighed = tf.where(counts > 0, 1 + tf.math.log(tf.maximum(counts, 1)), 0.0) * tf.constant(self.idf, tf.float32)
        return tf.math.l2_normalize(weighed, axis=-1)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        """Return the spec of the output (B, V), float32."""
        return keras.KerasTensor((texts.shape[0], len(self.vocabulary)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = simplify_config(super().get_config())
        return {**config, "vocabulary": self.vocabulary, "idf": self.idf}
