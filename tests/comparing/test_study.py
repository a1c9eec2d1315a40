"""A closer look at a run: what it finds is what was put into the data, and it leaves the model as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.comparing.study import _compare_ends, _find_useful_rates, _layers
from zoo.errors import UsageError
from zoo.tracking.store import Store


@pytest.fixture
def trained(workspace: Path) -> str:
    """A model of a target that one of three columns decides."""
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    frame = pd.DataFrame(x, columns=["much", "little", "nothing"])
    frame["y"] = 3 * x[:, 0] + 0.5 * x[:, 1] + random.normal(0, 0.1, 400)
    frame.loc[::40, "much"] = np.nan
    frame.to_csv("rows.csv", index=False)
    run = zoo.train(
        "regression/mlp",
        "rows.csv",
        target="y",
        epochs=12,
        quiet=True,
        hyperparameters={"units": 32},
        figures=False,
        baselines="none",
    )
    assert isinstance(run.run_id, str)
    return run.run_id


def test_a_study_finds_what_is_there(trained: str, command: Callable[..., Answer]) -> None:
    before = zoo.load(trained).predict("rows.csv")
    answer = command("study", trained[:10], "--json").json
    assert answer["summaries"]["steps"].startswith("left out: the network has no recurrent layers")
    results = answer["results"]
    assert list(results["importance"]) == ["much", "little", "nothing"]
    assert results["importance"]["much"]["mean"] > 10 * abs(results["importance"]["nothing"]["mean"])
    assert 1e-5 < results["rates"]["suggested"] < 1
    assert 1e-6 <= results["rates"]["too_low_below"] < results["rates"]["too_high_above"] < 3
    assert results["sizes"]["rows"] == [26, 51, 102, 179, 256]
    assert results["sizes"]["validation"][-1] < results["sizes"]["validation"][0]
    middle = results["landscape"]["line"][7]
    assert middle < min(results["landscape"]["line"][0], results["landscape"]["line"][-1])
    assert results["landscape"]["plane"][7][7] == pytest.approx(middle, rel=1e-5)
    assert all(len(values) == 12 for values in results["layers"]["gradient_norms"].values())
    assert all(0 <= share <= 1 for values in results["layers"]["dead"].values() for share in values)
    assert sum(layer["parameters"] for layer in results["architecture"]) == zoo.best().n_parameters
    kept = {file.path for file in Store().client.list_artifacts(trained, "figures")}
    assert {f"figures/study_{kind}.png" for kind in results} <= kept
    pd.testing.assert_frame_equal(zoo.load(trained).predict("rows.csv"), before)


def test_what_does_not_suit_is_said(workspace: Path, command: Callable[..., Answer]) -> None:
    wrong = command("study", "abcdef", "importances")
    assert wrong.status == 2
    assert "did you mean 'importance'?" in wrong.err
    run = zoo.train("clustering/autoencoder", "iris", epochs=1, quiet=True, figures=False, baselines="none")
    with pytest.raises(UsageError, match="predicts no target"):
        zoo.study(run.run_id, ["rates"], quiet=True)
    assert "architecture" in zoo.study(run.run_id, ["architecture", "sizes"], quiet=True).results


@pytest.mark.parametrize("curve", [[1.0, 1.0, 1.0, 1.0], [1.0, 1.1, 1.5, 4.0]])
def test_a_loss_that_never_falls_has_no_useful_rates(curve: list[float]) -> None:
    rates = np.geomspace(1e-3, 1, 4)
    with pytest.raises(UsageError, match="the loss falls at no learning rate"):
        _find_useful_rates(rates, np.array(curve), 0)
    assert _find_useful_rates(rates, np.array([1.0, 1.0, 0.5, 0.7]), 0) == pytest.approx((0.01, 0.1))


@pytest.mark.parametrize(
    ("norms", "text"),
    [
        ([2.0, 1.0], "0.5 times that at the last of 2 (rnn)"),
        ([0.0, 0.0], "zero, as at the last of 2 (rnn)"),
        ([0.0, 1.0], "not comparable to that at the last of 2 (rnn)"),
        ([np.nan, np.nan], "not comparable to that at the last of 2 (rnn)"),
    ],
)
def test_gradients_at_both_ends_are_compared(norms: list[float], text: str) -> None:
    assert _compare_ends(np.array(norms), "rnn") == text


def test_without_a_trained_layer_there_are_no_gradients_of_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = SimpleNamespace(result=SimpleNamespace(history={"loss": [1.0]}))
    monkeypatch.setattr("zoo.comparing.study.fit_built", lambda *_: fitted)
    subject: Any = MagicMock(**{"job.seed": 0})
    with pytest.raises(UsageError, match="no layer that is trained"):
        _layers(subject)


@pytest.mark.slow
def test_pictures_and_sequences_are_studied_too(workspace: Path) -> None:
    run = zoo.train("sequence/gru", "japanese_vowels", epochs=1, quiet=True, baselines="none")
    study = zoo.study(run.run_id, ["architecture", "importance", "rates", "landscape", "layers", "steps"], quiet=True)
    assert set(study.results) == {"architecture", "rates", "landscape", "layers", "steps"}
    dead = study.results["layers"]["dead"]
    assert set(dead) == {"both_ways_0", "output"}  # neither masks nor dropout have units
    assert "one input" in study.summaries["importance"]


def test_gradients_over_time_are_a_figure_and_a_table(workspace: Path) -> None:
    random = np.random.default_rng(0)
    x = [random.normal(size=(int(steps), 2)) for steps in random.integers(12, 20, 80)]
    rows = [json.dumps({"steps": cell.tolist(), "mean": cell.mean()}) for cell in x]
    Path("rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    run = zoo.train(
        "sequence/lstm", "rows.jsonl", target="mean", epochs=1, quiet=True, baselines="none",
        hyperparameters={"bidirectional": False, "units": 16},
    )  # fmt: skip
    study = zoo.study(run.run_id, ["steps"], quiet=True)
    (norms,) = study.results["steps"].values()
    assert norms["steps_before_last"][-1] == len(norms["trained"]) - 1 == 18
    assert norms["untrained"][0] > norms["untrained"][-1] > 0
    client = Store().client
    assert "figures/study_steps.png" in {file.path for file in client.list_artifacts(run.run_id, "figures")}
    assert "tables/study_steps.json" in {file.path for file in client.list_artifacts(run.run_id, "tables")}
