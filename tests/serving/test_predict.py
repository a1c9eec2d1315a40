"""A few rows are answered fast, and as they would be among many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo.saving.few_rows import MOST_ROWS, UNCOMPILED_CALLS

CELLS = {
    "age": st.none() | st.floats(-1e6, 1e6) | st.integers(0, 99) | st.just("41") | st.just("inf"),
    "job": st.none() | st.sampled_from(["nurse", "cook", "clerk", "", " ", "1.0", pd.NA]) | st.text(max_size=5),
    "height": st.none() | st.floats(0, 250),
    "senior": st.none() | st.booleans() | st.sampled_from(["True", "false", "maybe"]),
    "grade": st.none() | st.sampled_from([1, 2, 3, 1.0, "2", "2.0", 7, "01", " 2", "1e0", pd.NA]),
    "born": st.none() | st.sampled_from(["1960-03-01", "2024-02-29", "29.02.2024", "2024-02", "2024-W05-1", pd.NaT]),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("few"))
        people = pd.DataFrame(
            {
                "age": rng.integers(18, 80, 120).astype(float), "job": rng.choice(["nurse", "cook", "clerk"], 120),
                "height": rng.normal(170, 10, 120), "senior": rng.random(120) < 0.5, "grade": rng.integers(1, 4, 120),
                "born": (pd.Timestamp("1960-03-01") + pd.to_timedelta(np.arange(120) * 37, "D")).strftime("%Y-%m-%d"),
                "rich": rng.choice(["yes", "no"], 120),
            }
        )  # fmt: skip
        people.loc[::9, ["age", "job"]] = None
        run = zoo.train(
            "classification/mlp", people, target="rich", column={"grade": "category"}, epochs=1, quiet=True,
            figures=False, baselines="none", calibration_size=0.3,
        )  # fmt: skip
        loaded = zoo.load(run.run_id)
        for _ in range(UNCOMPILED_CALLS):  # from now on a few rows go the short way
            loaded.predict(people.head(2))
        yield loaded


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=4))
def test_a_few_rows_are_what_they_are_among_many(model: Any, rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in CELLS})
    many = pd.concat([frame] * (MOST_ROWS + 1), ignore_index=True)
    expected = model.predict(many).head(len(rows))
    pd.testing.assert_frame_equal(model.predict(frame), expected, atol=1e-6)
    pd.testing.assert_frame_equal(model.predict(frame.to_dict("list")), expected, atol=1e-6)
    pd.testing.assert_frame_equal(model.predict(rows[0]), expected.head(1), atol=1e-6)


def test_a_dict_is_a_row_from_the_first_call_on(model: Any) -> None:
    row = {"age": 40, "job": "cook", "height": 170.0, "senior": True, "grade": 2, "born": "1990-01-01", "more": "x"}
    fresh = type(model)(model.keras_model, model.spec, model.name, model.conformal_quantiles)
    first = fresh.predict(row)
    assert len(first) == 1
    pd.testing.assert_frame_equal(model.predict(row), first, atol=1e-6)
    intervals = model.predict(row, intervals=90)
    pd.testing.assert_frame_equal(intervals, fresh.predict(row, intervals=90), atol=1e-6)
    assert "set_90" in intervals


def test_what_is_wrong_is_named_on_either_way(model: Any) -> None:
    row = {"age": 40, "job": "cook", "height": 170.0, "senior": True, "grade": 2, "born": "1990-01-01"}
    with pytest.raises(zoo.DataError, match="column height, row 1: 'tall' is not a number"):
        model.predict({**row, "height": "tall"})
    with pytest.raises(zoo.DataError, match="missing: job"):
        model.predict({name: cell for name, cell in row.items() if name != "job"})
    with pytest.raises(zoo.DataError):
        model.predict({**row, "age": [1, 2], "job": ["cook"]})
