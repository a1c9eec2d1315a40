"""Two small sets as tensorflow-datasets' own are written, which tests prepare in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds


class ZooPeople(tfds.core.GeneratorBasedBuilder):
    """A table with texts, a nested dict and classes, in three parts and one more."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First."}
    SIZES = {"train": 12, "validation": 4, "test": 6, "extra": 2}

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "age": np.float32,
            "visits": np.int64,
            "note": tfds.features.Text(),
            "home": {"rooms": np.int32, "town": tfds.features.Text()},
            "kind": tfds.features.ClassLabel(names=["good", "bad"]),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("age", "kind")
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {name: self._generate_examples(name) for name in self.SIZES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(self.SIZES[split]):
            home = {"rooms": index, "town": "Köln"}
            kind = ("good", "bad")[index % 2]
            yield index, {"age": index / 2, "visits": index, "note": f"{split} {index}", "home": home, "kind": kind}


class ZooShades(tfds.core.GeneratorBasedBuilder):
    """Grey images whose shade is their class."""

    VERSION = tfds.core.Version("2.1.0")
    RELEASE_NOTES = {"2.1.0": "First."}

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(4, 5, 1)),
            "label": tfds.features.ClassLabel(names=["dark", "light"]),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(10), "test": self._generate_examples(4)}

    def _generate_examples(self, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(count):
            yield index, {"image": np.full((4, 5, 1), index % 2 * 200, np.uint8), "label": index % 2}
