"""Preprocessing of sequences of numbers and of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo.data.examples.describe_examples import WORD
from zoo.errors import UsageError
from zoo.portable.preprocessing import SEPARATORS, name_length_input
from zoo.preprocessing.configuration import simplify_config
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.spec import SequenceInput, Spec, TextInput

STEPS, CODES = "steps", "codes"


UNSEEN = 0


@keras.saving.register_keras_serializable("zoo")
class PrepareSteps(keras.layers.Layer):
    """Standardises steps of sequences; missing values become the mean, with an indicator if there were any in training.

    Args:
        mean: Mean of each feature over the steps of the training split (F,).
        std: Standard deviation of each feature (F,).
        missing: For each feature whether it has an indicator of missing values.
        longest: Maximum number of steps, counted from the first; None for all.

    Call arguments:
        steps: (B, T, F).
        length: Number of steps of each sequence (B,); the rest is padding, whose values do not matter.
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
        """Return standardised steps (B, T, F') and lengths (B,)."""
        steps, length = _shortened(steps, length, self.longest)
        std = tf.constant([value if value > 0 else 1.0 for value in self.std], tf.float32)
        unknown = tf.math.is_nan(steps)
        scaled = tf.where(unknown, 0.0, (steps - tf.constant(self.mean, tf.float32)) / std)
        indicators = [index for index, value in enumerate(self.missing) if value]
        if indicators:
            scaled = tf.concat([scaled, tf.cast(tf.gather(unknown, indicators, axis=-1), tf.float32)], axis=-1)
        real = tf.sequence_mask(length, tf.shape(steps)[1])
        return [tf.where(real[..., None], scaled, 0.0), length]  # tf.where, since infinity times 0 is NaN

    def compute_output_spec(self, steps: Any, length: Any) -> list[Any]:
        """Return the specs of steps and lengths."""
        width = len(self.mean) + sum(self.missing)
        return [keras.KerasTensor((steps.shape[0], None, width)), keras.KerasTensor((steps.shape[0],), dtype="int32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"mean": self.mean, "std": self.std, "missing": self.missing, "longest": self.longest}
        return {**simplify_config(super().get_config()), **arguments}


@keras.saving.register_keras_serializable("zoo")
class EncodeText(keras.layers.Layer):
    """Splits texts into characters, words or items and looks them up: 0 for unknown, from 1 the vocabulary.

    Args:
        vocabulary: The tokens.
        unit: ``character``, ``word`` (letters and digits, in lower case) or the name of the separator of items.
        longest: Maximum number of tokens, counted from the first; None for all.

    Call arguments:
        texts: (B,) of text. A text without tokens becomes a single unknown one.
    """

    def __init__(self, vocabulary: Sequence[str], unit: str, longest: int | None = None, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.vocabulary, self.unit, self.longest = list(vocabulary), unit, longest
        self.supports_jit = False
        self.lookup = keras.layers.StringLookup(vocabulary=self.vocabulary, num_oov_indices=1)
        self.built = True

    def call(self, texts: Any) -> list[Any]:
        """Return codes (B, T) and lengths (B,), int32."""
        texts = tf.reshape(texts, [-1])
        if self.unit in SEPARATORS:
            items = tf.strings.split(texts, SEPARATORS[self.unit])
            items = tf.ragged.map_flat_values(tf.strings.strip, items)
            tokens = tf.ragged.boolean_mask(items, tf.ragged.map_flat_values(tf.not_equal, items, ""))
        elif self.unit != WORD:  # ``letter`` in models of zoo 0.1.0
            tokens = tf.strings.unicode_split(texts, "UTF-8")
        else:
            tokens = tf.strings.split(tf.strings.regex_replace(convert_to_lower_case(texts), r"[^\p{L}\p{N}]+", " "))
        codes = tf.ragged.map_flat_values(lambda flat: tf.cast(self.lookup(flat), tf.int32), tokens)
        length = tf.maximum(tf.cast(codes.row_lengths(), tf.int32), 1)
        padded = codes.to_tensor(UNSEEN)
        padded = tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)]])
        return list(_shortened(padded, length, self.longest))

    def compute_output_spec(self, texts: Any) -> list[Any]:
        """Return the specs of codes and lengths."""
        rows = texts.shape[0]
        return [keras.KerasTensor((rows, None), dtype="int32"), keras.KerasTensor((rows,), dtype="int32")]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"vocabulary": self.vocabulary, "unit": self.unit, "longest": self.longest}
        return {**simplify_config(super().get_config()), **arguments}


class SequencePreprocessing(InputPreprocessing):
    """Preprocessing of a sequence of numbers, or of a text as a sequence of tokens.

    Args:
        spec: Spec with a sequence or a text.
        key: Key of the input, which also names the preprocessed tensor; default the only one, as ``steps`` for numbers
            and ``codes`` for a text. The lengths are ``length``, or with several sequences ``<name>_length``.
    """

    def __init__(self, spec: Spec, key: str | None = None) -> None:
        sequences: list[SequenceInput | TextInput] = [*spec.of_kind(SequenceInput), *spec.of_kind(TextInput)]
        if key is None and len(sequences) != 1:
            raise UsageError(f"{spec.task} needs one sequence or text as input; the data have {len(sequences)}")
        by_key = {input_.key: input_ for input_ in sequences}
        self.input_ = sequences[0] if key is None else by_key[key]
        self.longest = spec.options.get("max_length")
        is_text = isinstance(self.input_, TextInput)
        self.name = key or (CODES if is_text else STEPS)
        self.prefix = "" if key is None else f"{key}_"
        keys = [input_.key for input_ in sequences if isinstance(input_, SequenceInput) or not input_.idf]
        self.length = name_length_input(self.name, keys)
        self.raw_length = name_length_input(self.input_.key, [input_.key for input_ in spec.of_kind(SequenceInput)])

    def __repr__(self) -> str:
        return f"SequencePreprocessing({self.input_!r}, {self.name!r}, {self.length!r}, {self.longest})"

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs: steps (B, T, F') or codes (B, T), and their lengths (B,)."""
        length = keras.Input((), dtype="int32", name=self.length)
        if isinstance(self.input_, TextInput):
            return {self.name: keras.Input((None,), dtype="int32", name=self.name), self.length: length}
        width = len(self.input_.mean) + sum(self.input_.has_missing)
        return {self.name: keras.Input((None, width), name=self.name), self.length: length}

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of raw values by key: texts (B,), or sequences (B, T, F) and their lengths (B,)."""
        key = self.input_.key
        if isinstance(self.input_, TextInput):
            return {key: keras.Input((), dtype="string", name=key)}
        length = keras.Input((), dtype="int32", name=self.raw_length)
        return {key: keras.Input(self.input_.shape, name=key), self.raw_length: length}

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return preprocessed steps or codes, and their lengths, by name."""
        input_, values = self.input_, raw[self.input_.key]
        if isinstance(input_, TextInput):
            layer = EncodeText(input_.vocabulary, input_.unit, self.longest, name=f"{self.prefix}tokens")
            steps, length = layer(values)
        else:
            scaling = PrepareSteps(
                input_.mean, input_.std, input_.has_missing, self.longest, name=f"{self.prefix}scaled"
            )
            steps, length = scaling(values, raw[self.raw_length])
        return {self.name: steps, self.length: length}


def convert_to_lower_case(texts: Any) -> Any:
    """Return texts in lower case, as ``str.lower`` does in Python."""
    # ASCII and the dotted capital I first: otherwise their lower case depends on the machine's locale.
    lowered = tf.strings.regex_replace(tf.strings.lower(texts), "\u0130", "i\u0307")
    return tf.strings.lower(lowered, encoding="utf-8")


def _shortened(values: Any, length: Any, longest: int | None) -> tuple[Any, Any]:
    length = tf.cast(length, tf.int32)
    return (values, length) if longest is None else (values[:, :longest], tf.minimum(length, longest))
