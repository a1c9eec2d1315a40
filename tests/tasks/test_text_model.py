"""The model for texts: classes, numbers, several targets, exports, and what it says of other data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.fitting.fit import Plan, evaluate, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job

WORDS = {"words": 1, "characters": 0, "bits": 12}


def create_messages(rows: int = 240) -> pd.DataFrame:
    """Return messages on four topics, each with a mood, and with a rating that one word in it decides."""
    generator = np.random.default_rng(0)
    topics = {"parcel": ["post", "box"], "invoice": ["bill", "euro"], "café": ["thé", "pain"], "sport": ["run", "ball"]}
    moods = {"good": 2.0, "dull": -1.0, "awful": -3.0}
    others = ["the", "was", "is", "my", "and", "very", "today", "now"]
    cells = []
    for _ in range(rows):
        topic, mood = generator.choice(list(topics)), generator.choice(list(moods))
        words = [*generator.choice(topics[topic], 2), mood, *generator.choice(others, generator.integers(2, 20))]
        cells.append((" ".join(generator.permutation(words)), topic, moods[mood] + 0.1 * generator.normal()))
    return pd.DataFrame(cells, columns=["message", "topic", "rating"])


def fit_texts(frame: pd.DataFrame, target: Any, **hyperparameters: Any) -> Any:
    builder = create_model_builder("sequence/text")
    job = make_job(TrainJob, {"model": builder.name, "source": frame, "target": target, "options": {"text": "message"}})
    return fit(builder, builder.task.read(job), hyperparameters, Plan(seed=0))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Return a run on four classes, and the folder that it is in."""
    folder = tmp_path_factory.mktemp("texts")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        frame = create_messages().drop(columns="rating")
        frame.to_csv("messages.csv", index=False)
        return zoo.train("sequence/text", "messages.csv", target="topic", epochs=15, quiet=True, figures=False), folder


@pytest.fixture
def run(trained: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the run, in its folder."""
    monkeypatch.chdir(trained[1])
    return trained[0]


def test_it_learns_classes_and_stands_beside_its_baseline(run: Any) -> None:
    assert run.metrics["test_accuracy"] > 0.95
    assert "tf_idf_logistic" in run.baselines


def test_rows_are_raw_texts_in_any_form(run: Any) -> None:
    texts = ["THÉ, pain & thé!", "my ball; run", "£", "words that no message had"]
    predicted = run.model.predict(pd.DataFrame({"message": texts}))
    assert predicted["prediction"].tolist()[:2] == ["café", "sport"]
    assert np.isfinite(predicted.filter(like="probability_")).all(axis=None)
    alone = [run.model.predict(pd.DataFrame({"message": [text]})) for text in texts]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), predicted, atol=1e-6)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "onnx" else pytest.mark.slow) for kind in ("onnx", "litert", "savedmodel")],
)
def test_an_export_predicts_the_same_without_zoo(run: Any, kind: str, tmp_path: Path) -> None:
    exported = zoo.export(run.run_id, kind, str(tmp_path / "made"), quiet=True).exports[0]
    assert exported.difference < 1e-5
    assert exported.rows >= 40


def test_numbers_from_words_alone() -> None:
    fitted = fit_texts(create_messages().drop(columns="topic"), "rating", **WORDS, epochs=20)
    assert evaluate(fitted, ["test"])["test"].scores["r2"] > 0.5
    assert fitted.built_model.n_parameters == 2 * 2**12 + 1


def test_several_targets() -> None:
    fitted = fit_texts(create_messages(), ["topic", "rating"], **WORDS, epochs=20)
    scores = evaluate(fitted, ["test"])["test"].scores
    assert scores["accuracy_topic"] > 0.9
    assert scores["rmse_rating"] < 1.5


def test_sequences_of_numbers_are_refused(command: Callable[..., Answer]) -> None:
    answer = command("train", "sequence/text", "japanese_vowels", "--epochs=1", "--json")
    assert answer.status == 2
    message = "sequence/text reads texts; sequence/minirocket reads sequences of numbers"
    assert message in answer.json["error"]["message"]
