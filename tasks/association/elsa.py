"""Linear autoencoder whose item-to-item weights are the product of a narrow matrix with itself (ELSA).

Vančura et al. 2022, "Scalable linear shallow autoencoder for collaborative filtering" (RecSys), section 3: the scores
are max(0, x A Aᵀ - x) with rows of A of length 1, and their direction is trained to be that of the basket x. It is EASE
(Steck 2019) without its matrix of items by items: memory grows with items times rank. The weights of EASE are a
symmetric matrix whose columns are scaled (equation 8); here, unlike in the paper, each item has such a scale too,
without which items that are in every second basket are not recommended often enough.

Baskets whose weights need a high rank are its weakness: with the 2,000 most frequent items of a Belgian store and rank
128, the hit rate at 10 on validation baskets is 0.255 (one seed), that of EASE 0.280.

Input: a raw basket. Output: ``items`` (B, K), the codes of the best missing items, and their ``scores`` (B, K).
Run: ``zoo train association/elsa composed_baskets``.
"""

from typing import Any

import keras
import keras_tuner

from zoo.networks import Knobs
from zoo.spec import Spec, TextInput

from ._layers import ItemProduct
from ._network import build_completion_model, choose_length
from ._ranking import ReconstructionCost


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        rank: Width of the matrix: each item is a point on the unit sphere of so many dimensions.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "batch_size"),
        defaults={**choose_length(spec), "learning_rate": 0.01},
    )
    rank = hp.Int("rank", 16, 1024, sampling="log", default=256)
    product = ItemProduct(len(spec.only(TextInput).vocabulary), rank, unit_length=True, mean=False, name="items")

    def compute_cost(completion: keras.Model, codes: Any, length: Any) -> Any:
        return ReconstructionCost(name="cost")(completion(codes), codes)

    return build_completion_model(spec, knobs, product, compute_cost, softmax=False)
