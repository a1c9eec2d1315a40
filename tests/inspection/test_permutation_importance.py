"""Which columns predictions hang on: told by shuffling them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from zoo.fitting.model_builder import create_model_builder
from zoo.inspection.permutation_importance import select_strongest_inputs
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job


def test_the_strongest_columns_come_first_and_idle_ones_not_at_all(workspace: object) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({name: generator.normal(size=300) for name in ("weak", "strong", "idle")})
    frame["kind"] = generator.choice(["a", "b"], 300)
    frame["y"] = 3 * frame["strong"] + frame["weak"]
    dataset = create_model_builder("regression/mlp").task.read(make_job(DataJob, {"source": frame, "target": "y"}))

    def predict(inputs: Mapping[str, Any]) -> np.ndarray:
        columns = {input_.name: input_.key for input_ in dataset.spec.inputs}
        by_kind = np.where(np.asarray(inputs[columns["kind"]]) == "a", 1.0, 0.0)
        prediction: np.ndarray = 3.0 * inputs[columns["strong"]] + inputs[columns["weak"]] + 4 * by_kind
        return prediction

    split = dataset.splits["test"]
    strongest = select_strongest_inputs(predict, split, dataset.spec)
    assert list(strongest) == ["strong", "kind", "weak"]
    assert len(strongest["strong"]) == len(split)
    assert list(select_strongest_inputs(predict, split, dataset.spec, count=1)) == ["strong"]
    alone = dataclasses.replace(dataset.spec, inputs=dataset.spec.inputs[:1])
    assert select_strongest_inputs(predict, split, alone) == {}
