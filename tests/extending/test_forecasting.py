"""A task of forecasts is a folder: two ragged inputs, static columns, a target with a shape, more rows out than in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo

OPTIONS: dict[str, Any] = {
    "target": "sales",
    "series": "shop",
    "time": "day",
    "known": "offer",
    "static": "size",
    "horizon": 4,
    "quiet": True,
    "figures": False,
}
STEPS = 44
IN_A_NEW_PROCESS = """
import sys, zoo
zoo.load(sys.argv[1]).predict("later.csv", steps=3).to_csv("forecasts.csv", index=False)
"""


@pytest.fixture
def sales(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Six series, whose sales double on days with an offer; the last four days of ``later.csv`` are the future."""
    folder = workspace / "models"
    shutil.copytree(Path(__file__).parent / "forecast", folder / "forecast")
    monkeypatch.setenv("ZOO_TASKS", str(folder))
    rng = np.random.default_rng(0)
    frames = []
    for shop in range(6):
        offer = (rng.random(STEPS) < 0.3).astype(float)
        level = 5.0 + shop
        values = level * (1 + offer) + rng.normal(0, 0.2, STEPS)
        frame = pd.DataFrame({"shop": f"s{shop}", "day": range(STEPS), "offer": offer, "size": level, "sales": values})
        frames.append(frame.iloc[shop:])  # histories of different lengths
    table = pd.concat(frames, ignore_index=True)
    table[table["day"] < STEPS - 4].to_csv("sales.csv", index=False)
    table.assign(sales=table["sales"].where(table["day"] < STEPS - 4)).to_csv("later.csv", index=False)
    return table


@pytest.mark.slow
def test_forecasts_are_trained_tuned_resumed_predicted_and_served(sales: pd.DataFrame, workspace: Path) -> None:
    import keras
    import mlflow

    def interrupt(epoch: int, logs: Any) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        zoo.train("forecast/gru", "sales.csv", callbacks=[callback], **OPTIONS)
    run = zoo.train(None, resume=zoo.runs().rows[0]["run_id"], quiet=True)
    assert run.epochs_run == 12
    assert run.metrics["test_mase"] < run.baselines["naive"]["test_mase"]
    assert np.isnan(run.intervals["test_mase"]).all()  # six windows are too few for an interval

    search = zoo.tune("forecast/gru", "sales.csv", trials=2, epochs=2, baselines="none", **OPTIONS)
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 2

    forecasts = run.model.predict("later.csv")
    assert list(forecasts.columns) == ["series", "step", "prediction"]
    assert len(forecasts) == 6 * 4
    truth = sales.loc[sales["day"] >= STEPS - 4, "sales"].to_numpy()
    errors = np.abs(forecasts["prediction"].to_numpy() - truth)
    assert errors.mean() < np.abs(truth - truth.mean()).mean()  # it follows the offers of the future

    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, run.run_id], check=True, capture_output=True)
    again = pd.read_csv("forecasts.csv")
    first = forecasts[forecasts["step"] <= 3]
    np.testing.assert_allclose(again["prediction"], first["prediction"], rtol=1e-5)
    served = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model")
    by_server = served.predict(pd.read_csv("later.csv"), params={"steps": 3})
    np.testing.assert_allclose(by_server["prediction"], first["prediction"], rtol=1e-5)
    with pytest.raises(zoo.UsageError, match="step"):
        run.model.predict("later.csv", stepps=3)


def test_two_sequences_have_lengths_of_their_own(sales: pd.DataFrame) -> None:
    options = {name: value for name, value in OPTIONS.items() if name not in ("quiet", "figures")}
    spec = zoo.spec_of("sales.csv", task="forecast", **options)
    model = zoo.build("forecast/gru", spec)
    names = {"history", "history_length", "future", "future_length", "size", "scale"}
    assert {tensor.name for tensor in model.inputs} == names
    assert model.output_shape == (None, 4)
