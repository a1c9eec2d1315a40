"""Sequences and texts inside the model: padding is passed over, text is cut as it was when it was described."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.examples.describe_examples import (
    describe_sequence,
    describe_text,
    split_into_tokens,
)
from zoo.data.ragged import Ragged
from zoo.models.built_model import call_build, split_model
from zoo.models.search_space import CheckedHyperParameters
from zoo.networks import Knobs, add_recurrent_layers, build_sequence_model
from zoo.networks.recurrent import PoolSteps, RealSteps
from zoo.preprocessing.sequences import EncodeText, PrepareSteps, SequencePreprocessing
from zoo.spec import Spec, Target

rng = np.random.default_rng(0)
KINDS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
CLASSES = Target("y", "class", ("a", "b", "c"), "str")
SEQUENCES = [rng.normal(3, 2, (length, 2)).astype(np.float32) for length in (1, 5, 2, 4, 3, 5)]
TEXTS = ["Der Hund, die Katze", "die katze", "HUND 12 Hund", "ça va? Ça va!", "ÉTÉ été", "日本 日本語"]


def spec_of(sequences: list[np.ndarray], **options: Any) -> Spec:
    cells = pd.Series(list(sequences), dtype=object)
    return Spec("t", (describe_sequence("sequence", cells, where="t"),), (CLASSES,), 100, options)


def text_spec(unit: str, **options: Any) -> Spec:
    input_ = describe_text("text", pd.Series(TEXTS), unit=unit, vocabulary=99, where="t")
    return Spec("t", (input_,), (CLASSES,), 100, options)


def raw(sequences: list[np.ndarray], width: int | None = None, junk: float = 0.0) -> dict[str, Any]:
    ragged = Ragged.of(sequences, axes=1)
    padded = ragged.padded(None if width is None else (width,))
    padded[np.arange(padded.shape[1]) >= ragged.lengths[:, None]] = junk
    return {"sequence": padded.astype(np.float32), "length": ragged.lengths.astype(np.int32)}


def build(hp: Any, spec: Spec, *, kind: str = "rnn", layers: int = 1, both: bool = False, summary: str = "last") -> Any:
    knobs = Knobs(hp)

    def hidden(steps: Any, real: Any) -> Any:
        return add_recurrent_layers(
            steps, real, knobs, kind=KINDS[kind], units=3, layers=layers, bidirectional=both, summary=summary
        )

    return build_sequence_model(spec, knobs, hidden, embedding=4)


def made(spec: Spec, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = build(CheckedHyperParameters(), spec, **options)
    for weight in model.trainable_weights:  # biases are zeros at first, and would show nothing
        weight.assign(weight + 0.2 * np.random.default_rng(2).normal(size=weight.shape))
    return model


def output(model: Any, inputs: dict[str, Any]) -> np.ndarray:
    return np.asarray(model(inputs, training=False))


# Preprocessing


@st.composite
def batches_of_steps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows, steps, features = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    cell = st.floats(-100, 100, width=32) | st.just(float("nan"))
    cells = draw(st.lists(cell, min_size=rows * steps * features, max_size=rows * steps * features))
    lengths = draw(st.lists(st.integers(1, steps), min_size=rows, max_size=rows))
    return np.array(cells, np.float32).reshape(rows, steps, features), np.array(lengths, np.int32)


@settings(max_examples=40, deadline=None)
@given(padded_steps=batches_of_steps(), data=st.data())
def test_prepared_steps_are_the_formula(padded_steps: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    steps, lengths = padded_steps
    features = steps.shape[2]
    mean = data.draw(st.lists(st.floats(-9, 9), min_size=features, max_size=features))
    std = data.draw(st.lists(st.just(0.0) | st.floats(0.5, 9), min_size=features, max_size=features))
    missing = data.draw(st.lists(st.booleans(), min_size=features, max_size=features))
    longest = data.draw(st.none() | st.integers(1, 6))
    preprocessed, kept = PrepareSteps(mean, std, missing, longest)(steps, lengths)
    divisor = np.where(np.array(std) > 0, std, 1)
    wanted = (steps - np.array(mean)) / divisor
    holes = np.isnan(steps)
    wanted = np.concatenate([np.where(holes, 0, wanted), holes[..., np.array(missing, bool)]], axis=-1)
    wanted[np.arange(steps.shape[1]) >= lengths[:, None]] = 0
    np.testing.assert_allclose(preprocessed, wanted[:, :longest], rtol=1e-4, atol=1e-4)
    assert np.asarray(kept).tolist() == np.minimum(lengths, longest or 99).tolist()


@pytest.mark.parametrize(
    "junk",
    [
        np.nan,
        3e38,
        np.inf,
    ],
)
def test_what_lies_behind_a_sequence_may_be_anything(junk: float) -> None:
    layer = PrepareSteps([1.0, 2.0], [4.0, 2.0], [False, True])
    clean, dirty = (layer(*raw(SEQUENCES, junk=value).values())[0] for value in (0.0, junk))
    assert np.array_equal(clean, dirty)


def test_training_without_missing_values_has_no_indicator() -> None:
    holed = [steps.copy() for steps in SEQUENCES]
    holed[1][2, 1] = np.nan
    spec = spec_of(holed)
    preprocessed = SequencePreprocessing(spec).model()(raw(holed))["steps"].numpy()
    flat = np.concatenate(holed)
    assert preprocessed.shape == (6, 5, 3)
    assert preprocessed[1, 2].tolist() == [
        pytest.approx((holed[1][2, 0] - flat[:, 0].mean()) / flat[:, 0].std(), abs=1e-5),
        0,
        1,
    ]
    assert preprocessed[..., 2].sum() == 1
    plain = SequencePreprocessing(spec_of(SEQUENCES)).model()(raw(holed))["steps"].numpy()
    assert plain.shape == (6, 5, 2)
    assert plain[1, 2, 1] == 0


def test_only_the_first_steps_are_kept() -> None:
    spec = spec_of(SEQUENCES, max_length=3)
    preprocessed = SequencePreprocessing(spec).model()(raw(SEQUENCES))
    assert preprocessed["steps"].shape == (6, 3, 2)
    assert preprocessed["length"].numpy().tolist() == [1, 3, 2, 3, 3, 3]
    model = made(spec, both=True, kind="gru")
    np.testing.assert_allclose(
        output(model, raw(SEQUENCES)), output(model, raw([steps[:3] for steps in SEQUENCES])), atol=1e-6
    )
    longer = output(made(spec_of(SEQUENCES), both=True, kind="gru"), raw(SEQUENCES))
    assert np.abs(output(model, raw(SEQUENCES)) - longer).max() > 1e-3


def test_the_digest_is_of_what_is_prepared() -> None:
    spec = spec_of(SEQUENCES)
    digest = SequencePreprocessing(spec).digest
    assert digest == SequencePreprocessing(Spec.from_json(spec.to_json())).digest
    others = [spec_of(SEQUENCES, max_length=3), spec_of(SEQUENCES[1:]), text_spec("word"), text_spec("character")]
    assert len({digest, *(SequencePreprocessing(other).digest for other in others)}) == 5


# Masks and pooling


@settings(max_examples=30, deadline=None)
@given(padded_steps=batches_of_steps())
def test_pooled_steps_are_numpys(padded_steps: tuple[np.ndarray, np.ndarray]) -> None:
    steps, lengths = np.nan_to_num(padded_steps[0]), padded_steps[1]
    real = RealSteps()(steps, lengths)
    assert np.asarray(real).tolist() == [[step < length for step in range(steps.shape[1])] for length in lengths]
    cut = [sequence[:length] for sequence, length in zip(steps, lengths, strict=True)]
    for kind, function in (("mean", np.mean), ("max", np.max)):
        wanted = np.array([function(sequence, axis=0) for sequence in cut])
        np.testing.assert_allclose(PoolSteps(kind)(steps, real), wanted, rtol=1e-4, atol=1e-4)


def test_the_greatest_in_16_bits() -> None:
    pooled = PoolSteps("max", dtype="float16")(np.ones((1, 2, 1), np.float16), np.array([[True, False]]))
    assert np.asarray(pooled).tolist() == [[1.0]]


# Recurrent layers


def plain_rnn(steps: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    kernel, recurrent, bias = weights
    state, states = np.zeros(len(bias)), []
    for step in steps:
        state = np.tanh(step @ kernel + state @ recurrent + bias)
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize("summary", ["last", "mean", "max"])
@pytest.mark.parametrize("both", [False, True])
def test_a_recurrent_layer_is_its_formula(both: bool, summary: str) -> None:
    spec = spec_of(SEQUENCES)
    model = made(spec, both=both, summary=summary)
    network = model.get_layer("network")
    facts = spec.inputs[0]
    weights = [weight.numpy() for weight in network.get_layer("both_ways_0" if both else "recurrent_0").weights]
    kernel, bias = (weight.numpy() for weight in network.get_layer("output").weights)
    wanted = []
    for steps in SEQUENCES:
        scaled = (steps - facts.mean) / facts.std
        ways = [plain_rnn(scaled, weights[:3])]
        ways += [plain_rnn(scaled[::-1], weights[3:])] if both else []
        if summary == "last":
            state = np.concatenate([way[-1] for way in ways])
        else:
            pooling: Any = {"mean": np.mean, "max": np.max}[summary]
            state = np.concatenate([pooling(way, axis=0) for way in ways])
        wanted.append(np.exp(state @ kernel + bias) / np.exp(state @ kernel + bias).sum())
    np.testing.assert_allclose(output(model, raw(SEQUENCES)), wanted, atol=1e-5)


@pytest.mark.parametrize(
    "kind, both, summary",
    [
        ("rnn", True, "last"),
        ("lstm", True, "last"),
        ("lstm", False, "mean"),
        ("lstm", False, "max"),
        ("gru", True, "mean"),
        ("gru", True, "max"),
        ("gru", False, "last"),
    ],
)
def test_padding_changes_nothing(kind: str, both: bool, summary: str) -> None:
    model = made(spec_of(SEQUENCES), kind=kind, both=both, summary=summary, layers=2 if both else 1)
    together = output(model, raw(SEQUENCES))
    assert np.abs(np.diff(together, axis=0)).max() > 1e-3
    for junk in (1e6, np.nan):
        np.testing.assert_allclose(output(model, raw(SEQUENCES, 9, junk)), together, atol=1e-5)
    alone = [output(model, raw([steps]))[0] for steps in SEQUENCES[:3]]
    np.testing.assert_allclose(alone, together[:3], atol=1e-5)
    reversed_ = output(model, raw([steps[::-1] for steps in SEQUENCES]))
    assert np.abs(reversed_ - together)[1].max() > 1e-4  # the order of steps matters
    assert np.abs(reversed_ - together)[0].max() < 1e-6  # one step has none


def test_dropout_and_regularisation_reach_the_layers() -> None:
    hp = CheckedHyperParameters({"dropout": 0.5, "l2": 0.1})
    network = call_build(lambda hp, spec: build(hp, spec, layers=2), hp, spec_of(SEQUENCES)).network
    assert [layer.name for layer in network.layers if "dropout" in layer.name] == ["dropout_0", "dropout_1"]
    assert len(network.losses) == 3
    inputs = SequencePreprocessing(spec_of(SEQUENCES)).model()(raw(SEQUENCES))
    drawn = [network(inputs, training=True).numpy() for _ in range(2)]
    assert not np.allclose(*drawn)
    assert np.array_equal(output(network, inputs), output(network, inputs))


# Texts


def wanted_codes(texts: list[str], vocabulary: list[str], unit: str) -> list[list[int]]:
    places = {token: place for place, token in enumerate(vocabulary, 1)}
    return [[places.get(token, 0) for token in split_into_tokens(text, unit)] or [0] for text in texts]


def assert_codes(texts: list[str], vocabulary: list[str], unit: str) -> None:
    codes, lengths = (np.asarray(value) for value in EncodeText(vocabulary, unit)(np.array(texts)))
    wanted = wanted_codes(texts, vocabulary, unit)
    assert lengths.tolist() == [len(tokens) for tokens in wanted]
    assert codes.shape == (len(texts), max(map(len, wanted)))
    for row, tokens in zip(codes, wanted, strict=True):
        assert row[: len(tokens)].tolist() == tokens
        assert not row[len(tokens) :].any()


# What Unicode knew in 2002, so that Python's tables and TensorFlow's agree.
OLD = unicodedata.ucd_3_2_0
known_characters = st.characters(codec="utf-8").filter(lambda sign: sign != "\0" and OLD.category(sign) != "Cn")


@pytest.mark.parametrize("unit", ["character", "word"])
@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(st.text(known_characters, min_size=1, max_size=12), min_size=1, max_size=5), most=st.integers(1, 9)
)
def test_the_graph_cuts_text_as_python_does(unit: str, texts: list[str], most: int) -> None:
    tokens = list(dict.fromkeys(token for text in texts for token in split_into_tokens(text, unit)))
    assert_codes(texts, tokens or ["x"], unit)
    assert_codes(texts, tokens[:most] or ["x"], unit)


@pytest.mark.parametrize("unit", ["character", "word"])
def test_every_character_is_told_as_in_python(unit: str) -> None:
    signs = [chr(code) for code in range(1, sys.maxunicode + 1)]
    texts = [f"a{sign}b" for sign in signs if OLD.category(sign) not in ("Cn", "Co", "Cs")]
    assert len(texts) > 90_000
    tokens = dict.fromkeys(token for text in texts for token in split_into_tokens(text, unit))
    assert_codes(texts, list(tokens), unit)


@pytest.mark.parametrize("unit", ["character", "word"])
def test_texts_outside_the_vocabulary(unit: str) -> None:
    assert_codes(["xyz", "?", "a x a", " "], ["a"], unit)
    codes, lengths = EncodeText(["a"], unit, 2)(np.array(["a b a", "x"]))
    assert np.asarray(codes).tolist() == [[1, 0], [0, 0]]
    assert np.asarray(lengths).tolist() == [2, 1]


@pytest.mark.parametrize("unit", ["character", "word"])
def test_a_batch_of_texts_changes_no_prediction(unit: str) -> None:
    model = made(text_spec(unit), kind="gru", both=True)
    texts = np.array([*TEXTS, "?", "der unbekannte hund"])
    together = output(model, {"text": texts})
    alone = np.concatenate([output(model, {"text": texts[row : row + 1]}) for row in range(len(texts))])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert np.abs(np.diff(together, axis=0)).max(axis=1).min() > 1e-6  # each text is another one


TURKISH = """
import numpy as np
from zoo.preprocessing.sequences import EncodeText
print(np.asarray(EncodeText(["title"], "word")(np.array(["TITLE"]))[0]).tolist())
"""


@pytest.mark.slow
def test_words_are_the_same_in_turkey() -> None:
    process = subprocess.run(
        [sys.executable, "-c", TURKISH], env={**os.environ, "LC_ALL": "tr_TR.UTF-8"}, capture_output=True, text=True
    )
    assert process.stdout.strip() == "[[1]]"


# Through a save and a load


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
@pytest.mark.parametrize("what", ["steps", "word", "character"])
def test_saved_and_loaded_in_safe_mode(tmp_path: Path, what: str) -> None:
    holed = [steps.copy() for steps in SEQUENCES]
    holed[1][2, 1] = np.nan
    spec = spec_of(holed, max_length=4) if what == "steps" else text_spec(what, max_length=4)
    inputs = raw(holed) if what == "steps" else {"text": np.array(TEXTS)}
    model = made(spec, kind="gru", both=True, summary="max")
    model.save(tmp_path / "model.keras", include_optimizer=False)
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.array_equal(output(loaded, inputs), output(model, inputs))
    built_model = split_model(loaded)
    assert built_model.preprocessing is not None
    apart = built_model.network(built_model.preprocessing.model()(inputs))
    assert np.array_equal(np.asarray(apart), output(model, inputs))
    assert model.get_layer("preprocessing").trainable_weights == []
