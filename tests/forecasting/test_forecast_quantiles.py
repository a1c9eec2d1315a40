"""Quantiles of forecasts: trained, scored, predicted, saved and exported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from zoo.tasks.forecasting._forecast_metrics import create_quantile_metrics

import zoo
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task

TASK = load_task("forecasting")
LEVELS = (0.1, 0.5, 0.9)
NAMES = [f"quantile_{level:g}" for level in LEVELS]
JOB: dict[str, Any] = {"series": "shop", "time": "day", "horizon": 3, "period": 7, "target": "sales", "quiet": True}


def draw_noise(days: int = 200) -> pd.DataFrame:
    """Return sales of two shops with a season of a week and noise that no model can forecast."""
    rng = np.random.default_rng(0)
    week = 20 + 5 * np.sin(np.arange(days) * 2 * np.pi / 7)
    day = pd.date_range("2024-01-01", periods=days)
    return pd.concat([pd.DataFrame({"shop": n, "day": day, "sales": week + rng.normal(0, 2, days)}) for n in "ab"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("quantiles"))
        yield zoo.train("forecasting/linear", draw_noise(), **JOB, quantiles="0.1,0.5,0.9", calibration_size=0.2)


def test_the_outermost_quantiles_hold_about_the_stated_fraction(run: Any) -> None:
    assert 0.6 <= run.metrics["test_coverage_80"] <= 1
    assert run.metrics["test_scaled_pinball"] < run.baselines["naive"]["test_scaled_pinball"]
    for scores in run.baselines.values():
        assert 0 < scores["test_coverage_80"] <= 1
    (legend, *_) = [axis.get_legend() for axis in run.figures["forecasts"].axes]
    assert "90 % interval" in [text.get_text() for text in legend.get_texts()]


def test_the_description_leaves_out_an_interval_that_is_not_known(run: Any) -> None:
    assert all(math.isnan(bound) for bound in run.intervals["test_scaled_pinball"])
    description = mlflow.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert "unknown, 95 % interval" not in description
    assert f"test_scaled_pinball **{run.metrics['test_scaled_pinball']:.4g}** (less is better)" in description


def test_statistical_forecasts_have_quantiles() -> None:
    keys = {"series": "shop", "time": "day", "horizon": 3, "period": 7, "quantiles": LEVELS}
    job = make_job(DataJob, {"source": draw_noise(60), "target": ("sales",), "options": keys, "test_size": 0.1})
    dataset = TASK.read(job)
    boosting, theta = (
        one for one in TASK.baselines("all", dataset.spec) if one.name in ("auto_theta", "boosting_on_lags")
    )
    assert theta.run(dataset, 0)["test"]["coverage_80"] > 0.5
    assert boosting.run(dataset, 0)["test"]["coverage_80"] > 0


def test_predictions_have_a_column_for_each_quantile_in_order(run: Any) -> None:
    predictions = run.model.predict(draw_noise(), intervals=90)
    assert list(predictions.columns) == ["shop", "day", "prediction", *NAMES, "lower_90", "upper_90"]
    quantiles = predictions[NAMES].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(predictions["prediction"], quantiles[:, 1])
    assert (predictions["lower_90"] < predictions["prediction"]).all()
    shorter = run.model.predict(draw_noise(), horizon=2)
    first = predictions.groupby("shop").head(2)
    np.testing.assert_allclose(shorter[NAMES], first[NAMES])
    loaded = zoo.load(run.run_id).predict(draw_noise())
    np.testing.assert_allclose(loaded[NAMES], quantiles, rtol=1e-6)


def test_an_export_names_the_quantiles_of_each_step(run: Any, tmp_path: Path) -> None:
    folder = (
        zoo.export(run.run_id, "savedmodel", str(tmp_path / "exported"), on=draw_noise(), quiet=True).exports[0].folder
    )
    assert '"quantile_0.9_3"' in Path(folder, "model.json").read_text()


@pytest.mark.parametrize("model", ["forecasting/nbeats", pytest.param("forecasting/gru", marks=pytest.mark.slow)])
def test_every_model_has_quantiles(model: str, workspace: Path) -> None:
    trained = zoo.train(model, draw_noise(80), **JOB, quantiles=LEVELS, epochs=2, baselines="none", figures=False)
    assert (np.diff(trained.model.predict(draw_noise(80))[NAMES], axis=1) >= 0).all()


def test_levels_that_do_not_rise_are_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="levels rise between 0 and 1"):
        zoo.train("forecasting/linear", draw_noise(), **JOB, quantiles="0.9,0.1")


def test_the_loss_of_quantiles_is_worked_by_hand() -> None:
    truth = np.array(
        [[[10.0, 1.0, 2.0, 9.0], [0.0, 0.0, 2.0, 9.0]]]
    )  # value, present, naive error, naive; one is missing
    prediction = np.array([[[8.0, 9.0, 14.0], [0.0, 0.0, 0.0]]])
    loss, coverage, mase = (
        each.function(truth, prediction, np.ones((1, 1)))[0] for each in create_quantile_metrics(LEVELS)[:3]
    )
    assert loss == pytest.approx((0.1 * 2 + 0.5 * 1 + 0.1 * 4) / 3 / 2)
    assert coverage == 1
    assert mase == 0.5
