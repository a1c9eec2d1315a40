"""Gated recurrent units that predict the next character or word.

Chung et al. 2014, "Empirical evaluation of gated recurrent neural networks on sequence modeling", section 3; the layer
is that of Cho et al. 2014.

Input: a raw text. Output: ``bits`` (B, 1), the negative binary logarithm of the text's probability, and ``next``
(B, K), the probability of each token after it. Padding has no effect.
The network and n-grams predict together. Test bits per character by the defaults, and those of n-grams alone: 1.70 and
1.77 on color_names (3 seeds), 1.85 and 1.87 on 312,000 French words (1 seed, 13 CPU minutes with baselines).
Run: ``zoo train language/gru color_names``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs
from zoo.spec import Spec

from ._fit import add_ngrams
from ._network import build_language_model, choose_defaults


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each recurrent layer.
        layers: Number of stacked recurrent layers.
        embedding: Width of the embedding of each character or word.
        ngrams: Whether the trained network predicts together with n-grams, whose share is chosen on validation texts.
    """
    knobs = Knobs(hp, vary=("learning_rate", "dropout"), defaults=choose_defaults(spec))
    units, layers = hp.Int("units", 32, 1024, sampling="log", default=256), hp.Int("layers", 1, 3, default=1)
    embedding = hp.Int("embedding", 8, 512, sampling="log", default=32)
    after_fit = add_ngrams if hp.Fixed("ngrams", True) else None
    return build_language_model(
        spec,
        knobs,
        kind=keras.layers.GRU,
        units=units,
        layers=layers,
        embedding=embedding,
        after_fit=after_fit,
    )
