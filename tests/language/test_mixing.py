"""N-grams as tables in a network, and their share in its predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo.tasks.language._ngram_tables import NGramTables, create_tables
from zoo.tasks.language._ngrams import NGrams
from zoo.tasks.language._texts import add_boundaries

import zoo
from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.fitting.fit import Fitted, Plan, evaluate, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task

CODES = 4
texts_of_codes = st.lists(st.lists(st.integers(0, CODES - 1), min_size=1, max_size=9), min_size=1, max_size=6)
SMALL = {"units": 8, "epochs": 2}


def with_boundaries(rows: list[list[int]]) -> Ragged:
    return add_boundaries(Ragged.of([np.array(row, np.int32) for row in rows], axes=1), CODES)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(texts_of_codes, texts_of_codes, st.integers(1, 5))
def test_tables_have_the_probabilities_of_their_n_grams(
    train: list[list[int]], other: list[list[int]], order: int
) -> None:
    ngrams, texts = NGrams(with_boundaries(train), CODES + 1), with_boundaries(other)
    layer = NGramTables.filled(create_tables(ngrams, order), order, CODES + 1)
    padded = np.where(np.arange(texts.lengths.max()) < texts.lengths[:, None], texts.padded(), CODES)
    probabilities, after = (np.asarray(output) for output in layer(padded, texts.lengths))
    is_token = np.arange(probabilities.shape[1]) < texts.lengths[:, None] - 1
    bits = np.where(is_token, -np.log2(probabilities), 0).sum(axis=1)
    np.testing.assert_allclose(bits, ngrams.compute_bits(texts, order), rtol=1e-4)
    np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-4)
    ends = np.take_along_axis(probabilities, texts.lengths[:, None] - 2, axis=1)[:, 0]
    np.testing.assert_allclose(after[:, CODES], ends, rtol=1e-4)


@pytest.fixture(scope="module")
def colors() -> Dataset:
    """The first of the names, on which training is short."""
    return load_task("language").read(make_job(DataJob, {"source": "color_names", "sample_rows": 250}))


def fit_small(dataset: Dataset, **hyperparameters: bool) -> Fitted:
    builder = create_model_builder("language/gru", "language")
    return fit(builder, dataset, {**SMALL, **hyperparameters}, Plan(seed=0))


def test_the_mixture_is_no_worse_than_its_parts_on_validation(colors: Dataset) -> None:
    bits = {
        use: evaluate(fit_small(colors, ngrams=use), ["validation"])["validation"].scores["bits_per_character"]
        for use in (True, False)
    }
    baseline = next(b for b in load_task("language").baselines("quick", colors.spec) if b.name == "ngram")
    ngram_bits = baseline.run(colors, 0)["validation"]["bits_per_character"]
    assert bits[True] <= min(bits[False], ngram_bits) + 1e-4


@pytest.mark.slow
def test_texts_without_validation_and_a_new_process(workspace: Path) -> None:
    Path("words.txt").write_text("\n".join(["red", "green", "blue", "dark red", "dark green", "dark blue"] * 3))
    run = zoo.train(
        "language/rnn", "words.txt", hyperparameters={"units": 8}, epochs=1, validation_size=0, baselines="none"
    )
    model = zoo.load(run.run_id)
    answers = model.predict({"text": ["dark re", "dark gree"]})
    assert answers["prediction"].tolist() == ["d", "n"]  # one epoch has taught the network nothing
