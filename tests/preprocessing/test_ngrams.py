"""Hashed n-grams of texts: the same in TensorFlow and in NumPy, with the weights of scikit-learn."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfVectorizer

from zoo.data.ragged import Ragged
from zoo.networks.ngram_layers import SparseDense, WeighNgrams
from zoo.portable.ngrams import hash_ngrams
from zoo.preprocessing.ngrams import NGRAMS, HashNgrams

TEXTS = [
    "Win £100 now!! Win", "", " \t ", "!", "a", "ÉTÉ İstanbul, Straße\u00a0x\u2003y", "日本語 テキスト 🎉🎉 e\u0301",
    "x" * 400, "the cat sat on the mat; the cat sat", "don't",
]  # fmt: skip


@pytest.mark.parametrize("settings", [(2, 5, 2**16, None), (1, 0, 2**10, None), (3, 6, 2**12, 3)])
def test_exports_count_the_same_ngrams(settings: tuple[int, int, int, int | None]) -> None:
    layer = HashNgrams(*settings)
    for inside, alone in zip(layer(tf.constant(TEXTS)), hash_ngrams(layer.get_config(), TEXTS), strict=True):
        np.testing.assert_array_equal(inside, alone)


def test_the_ngrams_of_a_text_do_not_depend_on_the_other_texts() -> None:
    layer = HashNgrams(2, 4, 2**12)
    pairs, lengths = (values.numpy() for values in layer(tf.constant(TEXTS)))
    for row, text in enumerate(TEXTS):
        alone, length = layer(tf.constant([text]))
        np.testing.assert_array_equal(alone[0], pairs[row, : lengths[row]])
        assert length[0] == lengths[row]


def test_counts_are_those_of_words_and_of_characters_inside_words() -> None:
    pairs, lengths = HashNgrams(2, 3, 2**16)(tf.constant(["aa b aa b"]))
    words = {count for bucket, count in pairs[0].numpy() if bucket < 2**16}
    assert lengths[0] == 2 + 2 + len({"a", "b"} | {" a", "aa", "a ", " b", "b "} | {" aa", "aa ", " b "})
    assert words == {1.0, 2.0}  # "b aa" occurs once; "aa", "b" and "aa b" twice
    assert pairs[0].numpy()[:, 1].sum() == 4 + 3 + 6 + 10 + 6


def test_the_weights_are_scikit_learns() -> None:
    texts = ["the cat sat on the mat", "the dog and the cat", "a mat", "dog eats dog"]
    pairs, lengths = (values.numpy() for values in HashNgrams(2, 0, 2**17)(tf.constant(texts)))
    layer = WeighNgrams(2**17)
    layer(pairs, lengths)
    layer.adapt_to({NGRAMS: Ragged.of([row[:length] for row, length in zip(pairs, lengths, strict=True)], axes=1)})
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"[^\W_]+").fit(texts)
    for later in (texts, ["the dog sat on a zebra", "nothing here"]):
        _, weights = layer(*HashNgrams(2, 0, 2**17)(tf.constant(later)))
        expected = np.sort(vectors.transform(later).toarray(), axis=1)
        ours = np.sort(weights.numpy(), axis=1)
        width = min(expected.shape[1], ours.shape[1])
        np.testing.assert_allclose(ours[:, -width:], expected[:, -width:], atol=1e-6)
        assert not ours[:, :-width].any()
        assert not expected[:, :-width].any()


def test_a_sparse_layer_is_a_dense_one() -> None:
    columns, values = np.array([[1, 4, 0], [2, 2, 3]]), np.array([[0.5, -1, 0], [1, 2, 3]], "float32")
    dense = np.zeros((2, 5), "float32")
    np.add.at(dense, (np.arange(2)[:, None], columns), values)
    layer, twin = SparseDense(5, 2), keras.layers.Dense(2)
    predicted = layer([columns, values])
    twin.build((None, 5))
    twin.set_weights(layer.get_weights())
    gradients = []
    for each, inputs in ((layer, [tf.constant(columns), tf.constant(values)]), (twin, tf.constant(dense))):
        with tf.GradientTape() as tape:
            output = each(inputs, training=True)
            loss = tf.reduce_sum(tf.square(output))
        np.testing.assert_allclose(output, predicted, atol=1e-6)
        gradients.append([tf.convert_to_tensor(one) for one in tape.gradient(loss, each.trainable_weights)])
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
