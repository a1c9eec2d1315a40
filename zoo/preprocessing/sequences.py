"""Preprocessing of sequences of numbers and of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from zoo.data.examples.describe_examples import WORD
from zoo.data.ragged import LENGTH
from zoo.models.built_model import PREPROCESSING
from zoo.preprocessing.configuration import plain_config
from zoo.spec import Input, Spec

STEPS, CODES = "steps", "codes"


UNSEEN = 0


@keras.saving.register_keras_serializable("zoo")
class PrepareSteps(keras.layers.Layer):
    """Standardises the steps of sequences; a missing value becomes the mean, with an indicator if training knew such.

    Args:
        mean: Mean of each feature over the training part's steps (F,).
        std: Standard deviation of each feature (F,).
        missing: For each feature whether it has an indicator of missing values.
        longest: Steps that are kept, from the first on; None for all.

    Call arguments:
        steps: (B, T, F).
        length: Real steps of each sequence (B,); what lies behind is padding, whatever it holds.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        missing: Sequence[bool],
        longest: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.mean, self.std, self.missing, self.longest = list(mean), list(std), list(missing), longest

    def call(self, steps: Any, length: Any) -> list[Any]:
        """Return prepared steps (B, T, F') and lengths (B,)."""
        steps, length = _shortened(steps, length, self.longest)
        std = tf.constant([known if known > 0 else 1.0 for known in self.std], tf.float32)
        unknown = tf.math.is_nan(steps)
        scaled = tf.where(unknown, 0.0, (steps - tf.constant(self.mean, tf.float32)) / std)
        indicators = [index for index, known in enumerate(self.missing) if known]
        if indicators:
            scaled = tf.concat([scaled, tf.cast(tf.gather(unknown, indicators, axis=-1), tf.float32)], axis=-1)
        real = tf.sequence_mask(length, tf.shape(steps)[1])
        return [tf.where(real[..., None], scaled, 0.0), length]  # a product would let infinite padding through

    def compute_output_spec(self, steps: Any, length: Any) -> list[Any]:
        """Return the forms of steps and lengths."""
        width = len(self.mean) + sum(self.missing)
        return [keras.KerasTensor((steps.shape[0], None, width)), keras.KerasTensor((steps.shape[0],), dtype="int32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"mean": self.mean, "std": self.std, "missing": self.missing, "longest": self.longest}
        return {**plain_config(super().get_config()), **own}


@keras.saving.register_keras_serializable("zoo")
class EncodeText(keras.layers.Layer):
    """Cuts texts into characters or words and looks them up: 0 for unseen, 1 and on for the vocabulary.

    Args:
        vocabulary: The known tokens.
        unit: ``character`` or ``word`` (letters and digits, in lower case).
        longest: Tokens that are kept, from the first on; None for all.

    Call arguments:
        texts: (B,) of text. One without tokens counts as a single unseen one.
    """

    def __init__(self, vocabulary: Sequence[str], unit: str, longest: int | None = None, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.vocabulary, self.unit, self.longest = list(vocabulary), unit, longest
        self.supports_jit = False
        self.lookup = keras.layers.StringLookup(vocabulary=self.vocabulary, num_oov_indices=1)
        self.built = True

    def call(self, texts: Any) -> list[Any]:
        """Return codes (B, T) and lengths (B,), 32-bit integers."""
        texts = tf.reshape(texts, [-1])
        if self.unit != WORD:  # ``letter`` in models of zoo 0.1.0
            tokens = tf.strings.unicode_split(texts, "UTF-8")
        else:
            # Letters of English first, and the dotted capital I: what is done with them depends on the language of
            # the machine otherwise.
            small = tf.strings.regex_replace(tf.strings.lower(texts), "\u0130", "i\u0307")
            small = tf.strings.lower(small, encoding="utf-8")
            tokens = tf.strings.split(tf.strings.regex_replace(small, r"[^\p{L}\p{N}]+", " "))
        codes = tf.ragged.map_flat_values(lambda flat: tf.cast(self.lookup(flat), tf.int32), tokens)
        length = tf.maximum(tf.cast(codes.row_lengths(), tf.int32), 1)
        padded = codes.to_tensor(UNSEEN)
        padded = tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)]])
        return list(_shortened(padded, length, self.longest))

    def compute_output_spec(self, texts: Any) -> list[Any]:
        """Return the forms of codes and lengths."""
        rows = texts.shape[0]
        return [keras.KerasTensor((rows, None), dtype="int32"), keras.KerasTensor((rows,), dtype="int32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"vocabulary": self.vocabulary, "unit": self.unit, "longest": self.longest}
        return {**plain_config(super().get_config()), **own}


@dataclass(frozen=True)
class SequencePreprocessing:
    """How sequences or texts are prepared; makes the Keras model that does it.

    Args:
        spec: Its only input is a sequence or a text.
    """

    spec: Spec

    @property
    def known(self) -> Input:
        """The input."""
        return self.spec.inputs[0]

    @property
    def longest(self) -> int | None:
        """Steps that are kept; None for all."""
        return self.spec.options.get("max_length")

    @property
    def digest(self) -> str:
        """Digest of all that decides what the prepared tensors hold, given the raw ones."""
        text = f"{type(self).__name__} {self.longest} {self.known!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs: ``steps`` (B, T, F') or ``codes`` (B, T), and ``length`` (B,)."""
        length = keras.Input((), dtype="int32", name=LENGTH)
        if self.known.kind == "text":
            return {CODES: keras.Input((None,), dtype="int32", name=CODES), LENGTH: length}
        width = len(self.known.statistics["mean"]) + sum(self.known.statistics["missing"])
        return {STEPS: keras.Input((None, width), name=STEPS), LENGTH: length}

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of raw values: ``text`` (B,), or ``sequence`` (B, T, F) and ``length`` (B,)."""
        if self.known.kind == "text":
            return {self.known.key: keras.Input((), dtype="string", name=self.known.key)}
        return {
            self.known.key: keras.Input(self.known.shape, name=self.known.key),
            LENGTH: keras.Input((), dtype="int32", name=LENGTH),
        }

    def model(self) -> keras.Model:
        """Return the Keras model from raw values to prepared tensors; it has no weight that trains."""
        raw, facts = self.raw_tensors(), self.known.statistics
        if self.known.kind == "text":
            made = EncodeText(self.known.levels, facts["unit"], self.longest, name="tokens")(raw[self.known.key])
            return keras.Model(raw, {CODES: made[0], LENGTH: made[1]}, name=PREPROCESSING)
        layer = PrepareSteps(facts["mean"], facts["std"], facts["missing"], self.longest, name="scaled")
        made = layer(raw[self.known.key], raw[LENGTH])
        return keras.Model(raw, {STEPS: made[0], LENGTH: made[1]}, name=PREPROCESSING)


def _shortened(values: Any, length: Any, longest: int | None) -> tuple[Any, Any]:
    length = tf.cast(length, tf.int32)
    return (values, length) if longest is None else (values[:, :longest], tf.minimum(length, longest))
