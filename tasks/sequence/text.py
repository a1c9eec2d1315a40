"""Linear model of word and character n-grams with tf-idf weights: the first model to try on texts.

Joachims 1998, "Text categorization with support vector machines"; Wang and Manning 2012, "Baselines and bigrams"; the
n-grams are hashed (Weinberger et al. 2009, "Feature hashing for large scale multitask learning"), as in fastText
(Joulin et al. 2017, "Bag of tricks for efficient text classification").

Weights of n-grams are tf-idf (Salton and Buckley 1988) with the document frequencies of the training texts; the
option ``vocabulary`` has no effect, and ``unit`` has one on the default of ``bits`` only. Accuracy on the test split of
sms_spam is 99.2 ± 0.0 %, of movie_snippets 79.0 ± 0.4 % (3 seeds); with 500 training texts 98.0 ± 0.3 % and
65.8 ± 1.2 %. Logistic regression on tf-idf weights of words has 98.8 %, 78.5 %, 94.9 % and 65.1 %
(``benchmarks/texts.py``).

Input: a raw text. Output: probability of the second of two classes (B, 1) or of each of several (B, K), or the
standardized number (B, 1).
Run: ``zoo train sequence/text color_families``.
"""

import math
from functools import partial

import keras
import keras_tuner

from zoo.errors import UsageError
from zoo.networks import Knobs, add_head, assemble
from zoo.networks.heads import compute_width
from zoo.networks.ngram_layers import SparseDense, WeighNgrams
from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.ngrams import NGRAMS, NgramPreprocessing
from zoo.spec import Spec, TextInput

EXAMPLE = "color_families"
MOST_WEIGHTS = 2**23
FEWEST_BITS, LEAST_DEFAULT_BITS, MOST_BITS = 12, 16, 17


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        words: Greatest number of words of an n-gram.
        characters: Greatest number of characters of an n-gram, which stays inside a word; 0 for none.
        bits: Binary logarithm of the number of buckets for n-grams of words, and of that for those of characters.
        l2: L2 regularization, which by default is that of scikit-learn's logistic regression with C = 30, or ridge.
    """
    check_data(spec)
    numbers = any(target.kind == "number" for target in spec.targets)
    knobs = Knobs(
        hp,
        vary=("learning_rate", "l2"),
        defaults={
            "learning_rate": 0.02,
            "l2": float(f"{(1 if numbers else 1 / 60) / max(spec.rows, 1):.3g}"),
            "initializer": "zeros",
            "epochs": 100,
            "patience": 10,
        },
    )
    words, characters = hp.Int("words", 1, 3, default=2), hp.Int("characters", 0, 6, default=5)
    buckets = 2 ** hp.Int("bits", FEWEST_BITS, MOST_BITS, default=choose_bits(spec))
    preprocessing = NgramPreprocessing(spec, words=words, characters=characters, buckets=buckets)
    inputs = preprocessing.tensors()
    weights = WeighNgrams(buckets, name="tf_idf")(inputs[NGRAMS], inputs[LENGTH])
    output, loss = add_head(weights, spec, knobs, layer=partial(SparseDense, 2 * buckets))
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)


def choose_bits(spec: Spec) -> int:
    """Return the bits for as many buckets as the training texts have n-grams of words, as far as memory allows."""
    tokens = spec.rows * spec.only(TextInput).mean_length
    width = sum(compute_width(target) for target in spec.targets)
    affordable = max(FEWEST_BITS, math.floor(math.log2(MOST_WEIGHTS / (2 * max(width, 1)))))
    return min(max(LEAST_DEFAULT_BITS, math.ceil(math.log2(2 * tokens + 1))), affordable, MOST_BITS)


def check_data(spec: Spec) -> None:
    """Raise if the data are not texts."""
    if not spec.of_kind(TextInput):
        raise UsageError("sequence/text reads texts; sequence/minirocket reads sequences of numbers")
