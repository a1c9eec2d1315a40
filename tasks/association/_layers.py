"""Layers of networks that complete baskets: items that are hidden in training, sums and products of embeddings."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.preprocessing.configuration import simplify_config


@keras.saving.register_keras_serializable("zoo")
class DistinctItems(keras.layers.Layer):
    """Replaces each repetition of an item in a basket by 0, which stands for no item.

    Call arguments:
        codes: (B, T), 0 for unknown items and padding.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(autocast=False, **{**options, "trainable": False})

    def call(self, codes: Any) -> Any:
        """Return sorted codes (B, T)."""
        ordered = ops.sort(codes, axis=1)
        first = ops.concatenate([ops.ones_like(ordered[:, :1], "bool"), ordered[:, 1:] != ordered[:, :-1]], axis=1)
        return ops.where(first, ordered, 0)

    def compute_output_spec(self, codes: Any) -> Any:
        """Return the spec of the output (B, T)."""
        return keras.KerasTensor((codes.shape[0], None), dtype="int32")


@keras.saving.register_keras_serializable("zoo")
class HideItems(keras.layers.Layer):
    """Hides some items of each basket, which are predicted from the others.

    In training, each item is hidden with a probability, at least one of each basket, and at least one is kept.
    Otherwise the last item is hidden, which whoever scores a network puts there.

    Args:
        rate: Probability of hiding an item.

    Call arguments:
        codes: (B, T), 0 for unknown items and padding.
        length: Number of items of each basket (B,).
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(autocast=False, **options)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, codes: Any, length: Any, training: bool = False) -> list[Any]:
        """Return the codes of the items that are kept and of those that are hidden, 0 elsewhere, (B, T) each."""
        if training:
            real = codes > 0
            draw = keras.random.uniform(ops.shape(codes), dtype="float32", seed=self.seed_generator)
            least = ops.min(ops.where(real, draw, 2.0), axis=1, keepdims=True)
            greatest = ops.max(ops.where(real, draw, -1.0), axis=1, keepdims=True)
            hidden = real & (draw < greatest) & ((draw <= least) | (draw < self.rate))
        else:
            last = ops.cast(length, "int32")[:, None] - 1
            hidden = ops.arange(ops.shape(codes)[1], dtype="int32")[None, :] == last
        return [ops.where(hidden, 0, codes), ops.where(hidden, codes, 0)]

    def compute_output_spec(self, codes: Any, length: Any, training: bool = False) -> list[Any]:
        """Return the specs of both outputs."""
        return [keras.KerasTensor((codes.shape[0], None), dtype="int32") for _ in range(2)]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "rate": self.rate}


@keras.saving.register_keras_serializable("zoo")
class SumItems(keras.layers.Layer):
    """Sums the embeddings of the items of a basket.

    Args:
        items: Number of items; their codes begin with 1.
        units: Width of the embeddings.
        unit_length: Whether each embedding is scaled to length 1.
        mean: Whether the sum is divided by the root of the number of items.

    Call arguments:
        codes: (B, T), 0 for none.
    """

    def __init__(self, items: int, units: int, *, unit_length: bool, mean: bool, **options: Any) -> None:
        super().__init__(**options)
        self.items, self.units, self.unit_length, self.mean = items, units, unit_length, mean

    def build(self, input_shape: Any) -> None:
        """Create the embeddings (I, D)."""
        initializer = keras.initializers.RandomNormal(stddev=self.units**-0.5 if self.unit_length else 0.02)
        self.table = self.add_weight(shape=(self.items, self.units), initializer=initializer, name="table")

    def embeddings(self) -> Any:
        """Return the embeddings of the items (I, D)."""
        return ops.normalize(self.table, axis=-1) if self.unit_length else ops.convert_to_tensor(self.table)

    def call(self, codes: Any) -> Any:
        """Return (B, D)."""
        real = ops.cast(codes > 0, self.compute_dtype)
        vectors = ops.take(ops.cast(self.embeddings(), self.compute_dtype), ops.maximum(codes - 1, 0), axis=0)
        summed = ops.sum(vectors * real[..., None], axis=1)
        if not self.mean:
            return summed
        return summed / ops.sqrt(ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, D)."""
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {"items": self.items, "units": self.units, "unit_length": self.unit_length, "mean": self.mean}
        return {**simplify_config(super().get_config()), **arguments}


@keras.saving.register_keras_serializable("zoo")
class ItemProduct(SumItems):
    """Computes (x A Aᵀ - x) diag(g) of baskets x: A has the embeddings of the items as rows, g is a scale of each item.

    Call arguments:
        codes: The different items of each basket (B, T), 0 for none.
    """

    def build(self, input_shape: Any) -> None:
        """Create the embeddings (I, D) and the logarithm of the scales (I,)."""
        super().build(input_shape)
        self.log_scale = self.add_weight(shape=(self.items,), initializer="zeros", name="log_scale")

    def call(self, codes: Any) -> Any:
        """Return (B, I)."""
        product = ops.matmul(super().call(codes), ops.transpose(ops.cast(self.embeddings(), self.compute_dtype)))
        places = find_places(codes)
        basket = ops.scatter(
            places, ops.ones((ops.shape(places)[0],), product.dtype), (ops.shape(product)[0], self.items + 1)
        )
        return (product - basket[:, 1:]) * ops.exp(ops.cast(self.log_scale, self.compute_dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, I)."""
        return (input_shape[0], self.items)


@keras.saving.register_keras_serializable("zoo")
class CountUnseen(keras.layers.Layer):
    """Counts the items of a basket that are unknown.

    Call arguments:
        codes: (B, T), 0 for unknown items and padding.
        length: Number of items (B,).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(autocast=False, **{**options, "trainable": False})

    def call(self, codes: Any, length: Any) -> Any:
        """Return (B, 1)."""
        real = ops.arange(ops.shape(codes)[1], dtype="int32")[None, :] < ops.cast(length, "int32")[:, None]
        return ops.sum(ops.cast(real & (codes == 0), "float32"), axis=1, keepdims=True)

    def compute_output_spec(self, codes: Any, length: Any) -> Any:
        """Return the spec of the output (B, 1)."""
        return keras.KerasTensor((codes.shape[0], 1), dtype="float32")


def find_places(codes: Any) -> Any:
    """Return row and code of each item of codes (B, T), (B T, 2)."""
    rows = ops.arange(ops.shape(codes)[0], dtype="int32")[:, None] + ops.zeros_like(codes)
    return ops.stack([ops.reshape(rows, (-1,)), ops.reshape(codes, (-1,))], axis=1)
