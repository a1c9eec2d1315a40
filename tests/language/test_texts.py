"""Texts as tokens, the bits of models by definition, and n-grams."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo.tasks.language._generate import Generator
from zoo.tasks.language._ngram_tables import NGramTables, create_tables
from zoo.tasks.language._ngrams import NGrams
from zoo.tasks.language._texts import add_boundaries, compute_unknown_bits, count_sizes, cut_into_pieces

from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.models.built_model import find_network
from zoo.models.search_space import CheckedHyperParameters
from zoo.portable.preprocessing import split_into_tokens
from zoo.preprocessing.sequences import CODES
from zoo.spec import Spec, TextInput
from zoo.task import load_task
from zoo.training.preprocessed_arrays import forward

WORDS = [*["france", "français", "franc", "frange", "franche", "frank", "fran"] * 4, "zoo!"]
texts_of_codes = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=6)
slow_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ragged(rows: list[list[int]]) -> Ragged:
    return Ragged.of([np.array(row, np.int32) for row in rows], axes=1)


def dataset(unit: str = "character") -> Dataset:
    words = WORDS if unit == "character" else [f"{word} est là" for word in WORDS]
    job = make_job(DataJob, {"source": {"text": words}, "options": {"text": "text", "unit": unit}})
    return load_task("language").read(job)


@slow_machine
@given(texts_of_codes, st.integers(1, 4))
def test_pieces_predict_each_token_once(rows: list[list[int]], longest: int) -> None:
    texts = add_boundaries(ragged(rows), 4)
    pieces = cut_into_pieces(texts, longest)
    examples = [pieces.example(row).tolist() for row in range(len(pieces))]
    assert all(2 <= len(piece) <= longest + 1 for piece in examples)
    assert [token for piece in examples for token in piece[1:]] == [token for row in rows for token in [*row, 4]]
    whole = [texts.example(row).tolist() for row in range(len(texts))]
    pairs = sorted(pair for text in whole for pair in pairwise(text))
    assert sorted(pair for piece in examples for pair in pairwise(piece)) == pairs


@slow_machine
@given(texts_of_codes, st.integers(1, 4))
def test_the_probabilities_of_n_grams_sum_to_one(rows: list[list[int]], order: int) -> None:
    model = NGrams(add_boundaries(ragged(rows), 4), 5, order)
    for context in ([], [0], [3, 1], [2, 2, 2]):
        after = [[4, *context, token] for token in range(5)]
        bits = model.compute_bits(ragged(after), order)
        before = model.compute_bits(ragged([[4, *context]]), order) if context else np.zeros(1)
        assert sum(2.0 ** -(bits - before)) == pytest.approx(1)


def test_greater_orders_know_more_of_what_they_saw() -> None:
    codes = {character: code for code, character in enumerate(sorted(set("".join(WORDS))), 1)}
    texts = add_boundaries(ragged([[codes[character] for character in word] for word in WORDS]), len(codes) + 1)
    model = NGrams(texts, len(codes) + 2, 5)
    bits = [values.sum() for values in model.iterate_bits(texts)]
    assert bits == sorted(bits, reverse=True)
    counts = np.bincount(texts.values[np.setdiff1d(np.arange(len(texts.values)), texts.starts)])
    entropy = -(counts[counts > 0] * np.log2(counts[counts > 0] / counts.sum())).sum()
    entropy += len(WORDS) * np.log2(1 - len(WORDS) / counts.sum())  # the first token of a text is not its end
    assert entropy < bits[0] < 1.2 * entropy  # a unigram's smoothing costs little
    assert model.choose_order(texts) == 5


@pytest.mark.parametrize("unit", ["character", "word"])
@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_bits_are_those_of_the_next_tokens_one_by_one(model: str, unit: str) -> None:
    data = dataset(unit)
    keras_model = create_model_builder(f"language/{model}").build(
        CheckedHyperParameters({"units": 8, "embedding": 4, "layers": 2}), data.spec
    )
    output = load_task("language").output(keras_model, data.splits["test"].inputs)
    generator, input_ = Generator(keras_model, data.spec), data.spec.only(TextInput)
    network = find_network(keras_model)
    for row, text in enumerate(np.asarray(data.splits["test"].inputs[input_.key])[:4]):
        tokens = split_into_tokens(str(text), unit)
        codes = [generator.code_of.get(token, 0) for token in tokens]
        bits = codes.count(0) * data.spec.options["unknown_bits"]
        for place, code in enumerate([*codes, generator.end]):
            prefix = {CODES: ragged([codes[:place]])}
            bits -= math.log2(forward(network, prefix)["next"][0, code])
        assert output["bits"][row, 0] == pytest.approx(bits, rel=1e-4)
        np.testing.assert_allclose(
            output["next"][row], forward(network, {CODES: ragged([codes])})["next"][0], rtol=1e-4
        )


def test_an_unknown_token_is_charged() -> None:
    characters = TextInput("text", "text", vocabulary=("a", "b"), unit="character")
    assert compute_unknown_bits(["abc"], characters) == math.log2(0x110000 - 2)
    words = TextInput("text", "text", vocabulary=("ab", "cd"), unit="word")
    # An unknown word of four characters is spelled with five of a, b, c, d and its end.
    assert compute_unknown_bits(["ab wxyz"], words) == pytest.approx(5 * math.log2(5))


def test_sizes_count_the_end_of_each_text() -> None:
    spec = Spec("language", (TextInput("text", "text", unit="word"),))
    assert count_sizes(["Il pleut.", "…"], spec).tolist() == [[9, 3], [1, 2]]
    spec = Spec("language", (TextInput("text", "text", unit="character"),))
    assert count_sizes(["été", "a b"], spec).tolist() == [[4, 4], [4, 4]]


def test_no_text_is_empty() -> None:
    empty = ragged([[4, 4]])
    model = NGrams(add_boundaries(ragged([[0], [1], [0]]), 4), 5, 2)
    assert [bits[0] for bits in model.iterate_bits(empty)] == [math.inf, math.inf]
    for order in (1, 2):
        layer = NGramTables.filled(create_tables(model, order), order, 5)
        _, after = layer(empty.padded(), empty.lengths)
        assert after[0, 4] == 0 < np.asarray(after)[0, :4].min()
    data = dataset("word")
    builder = create_model_builder("language/gru")
    generator = Generator(builder.build(CheckedHyperParameters({"units": 8}), data.spec), data.spec)
    assert generator.predict_next([[]])[0, generator.end] == 0
    assert all(text for text, _ in generator.sample([], 50, temperature=1, top=None, longest=1, seed=0))


def test_a_prompt_is_checked() -> None:
    data = dataset()
    builder = create_model_builder("language/gru")
    generator = Generator(builder.build(CheckedHyperParameters({"units": 8}), data.spec), data.spec)
    assert generator.encode("") == []
    assert [generator.tokens[code] for code in generator.encode("fran")] == list("fran")
    with pytest.raises(DataError, match=r"do not have the characters 'F'.*position 1; did you mean 'fran'"):
        generator.encode("Fran")
    with pytest.raises(DataError, match=r"characters 'x', 'y', the first of them at position 3"):
        generator.encode("fax y".replace(" ", ""))


def test_sampling_follows_temperature_top_and_seed() -> None:
    data = dataset()
    builder = create_model_builder("language/gru")
    generator = Generator(builder.build(CheckedHyperParameters({"units": 8}), data.spec), data.spec)
    prompt = generator.encode("fr")

    def draw(n: int = 20, temperature: float = 1.0, top: int | None = None, seed: int = 0) -> list[tuple[str, bool]]:
        return generator.sample(prompt, n, temperature=temperature, top=top, longest=5, seed=seed)

    assert len({text for text, _ in draw(temperature=0)}) == 1
    assert draw(temperature=0)[0] == draw(top=1, temperature=3)[0]
    assert draw(seed=1) == draw(seed=1) != draw(seed=2)
    assert all(len(text) <= 5 and (ended or len(text) == 5) for text, ended in draw())
    first = {text[:1] for text, _ in draw(200, top=2)}
    likely = np.argsort(-generator.predict_next([prompt])[0])[:2]
    assert first <= {"" if code == generator.end else generator.tokens[code] for code in likely}
    assert draw(0) == []
