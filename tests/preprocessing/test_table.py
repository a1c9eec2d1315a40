"""Preparation inside the model against NumPy and scikit-learn, and through a save and a load."""

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.columns.describe_table import describe_table
from zoo.data.columns.encode import extract_inputs
from zoo.models.built_model import call_build, split_model
from zoo.models.search_space import CheckedHyperParameters
from zoo.networks import Knobs, add_head, assemble, join_features, preprocess_table
from zoo.preprocessing.table import MOST_ONE_HOT
from zoo.spec import Spec, Target
from zoo.training.preprocessed_arrays import convert_to_tensor

SCALINGS = ("standard", "minmax", "robust", "quantile", "robust_quantile")
rng = np.random.default_rng(0)
NUMBERS = pd.DataFrame(
    {
        "normal": rng.normal(5, 3, 500),
        "skewed": rng.lognormal(0, 2, 500),
        "whole": rng.integers(0, 4, 500),
        "rare": (rng.random(500) < 0.1) * 7.0,
    }
)


def spec_of(frame):
    return describe_table(frame, (Target("y", "class", ("a", "b"), "str"),), "t")[0]


def tensors(frame, spec):
    return {key: convert_to_tensor(values) for key, values in extract_inputs(frame, spec).items()}


def preprocessed(frame, scaling="standard", spec=None):
    spec = spec or spec_of(frame)
    tensors_ = preprocess_table(spec, scaling=scaling).model()(tensors(frame, spec))
    return {name: value.numpy() for name, value in tensors_.items()}


def features(frame, scaling="standard", spec=None):
    return preprocessed(frame, scaling, spec)["features"]


def test_standard_is_scikit_learns():
    from sklearn.preprocessing import StandardScaler

    assert np.allclose(features(NUMBERS), StandardScaler().fit_transform(NUMBERS), atol=1e-6)


def test_minmax_is_scikit_learns():
    from sklearn.preprocessing import MinMaxScaler

    assert np.allclose(features(NUMBERS, "minmax"), MinMaxScaler().fit_transform(NUMBERS), atol=1e-6)


def test_robust_is_the_formula():
    low, middle, high = np.quantile(NUMBERS, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(high > low, high - low, np.ptp(NUMBERS.to_numpy(), axis=0) / 2)
    z = (NUMBERS.to_numpy() - middle) / spread
    assert spread[3] == 3.5
    assert np.allclose(features(NUMBERS, "robust"), z / np.sqrt(1 + (z / 3) ** 2), atol=1e-6)


def test_quantile_is_scikit_learns():
    from sklearn.preprocessing import QuantileTransformer

    transformer = QuantileTransformer(n_quantiles=65, output_distribution="normal", subsample=None)
    expected = transformer.fit_transform(NUMBERS)
    prepared = features(NUMBERS, "quantile")
    middle = np.abs(expected) < 2.5
    assert middle.mean() > 0.5
    assert np.allclose(prepared[middle], expected[middle], atol=1e-5)
    assert np.all(np.sign(prepared[~middle]) == np.sign(expected[~middle]))


def test_both_stand_side_by_side():
    both = features(NUMBERS, "robust_quantile")
    assert np.array_equal(both, np.hstack([features(NUMBERS, "robust"), features(NUMBERS, "quantile")]))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_values_that_training_never_saw_stay_finite_and_in_order(scaling):
    spec = spec_of(NUMBERS)
    strange = pd.DataFrame({name: [-1e30, -1.0, 0.0, 1.0, 1e30] for name in NUMBERS})
    prepared = features(strange, scaling, spec)
    assert np.isfinite(prepared).all()
    assert (np.diff(prepared, axis=0) >= 0).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_missing_numbers_are_the_middle_with_an_indicator(scaling):
    frame = pd.DataFrame({"holes": [1.0, np.nan, 3.0, 9.0], "full": [1.0, 2.0, 4.0, 8.0], "empty": [5, None, 5, 5]})
    prepared = features(frame, scaling)
    width = 3 * len(scaling.split("_"))
    assert prepared.shape == (4, width + 2)
    middle = {"minmax": (13 / 3 - 1) / 8}.get(scaling, 0)
    np.testing.assert_allclose(prepared[1, [0, 2]], [middle, 0], atol=1e-7)
    assert prepared[:, width:].tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]
    late = features(pd.DataFrame({"holes": [1.0], "full": [np.nan], "empty": [5.0]}), scaling, spec_of(frame))
    np.testing.assert_allclose(late[0, 1], (3.75 - 1) / 7 if scaling == "minmax" else 0, atol=1e-7)
    assert late[0, width:].tolist() == [0, 0]


def test_neighbours_beyond_32_bits_are_told_apart():
    frame = pd.DataFrame({"big": [16_777_216, 16_777_217, 16_777_218]})
    assert np.float32(16_777_217) == np.float32(16_777_216)
    for scaling in ("standard", "minmax", "robust"):
        assert np.diff(features(frame, scaling)[:, 0]).min() > 0.1


LEVELS = pd.DataFrame({"town": ["Ulm", "Ulm", "Bonn", None], "flag": [True, False, True, True]})


def test_levels_become_indicators():
    prepared = features(LEVELS)
    # town: missing, Ulm, Bonn; flag: true, false
    expected = [[0, 1, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [1, 0, 0, 1, 0]]
    assert prepared.tolist() == expected


def test_unseen_levels_are_all_zeros():
    spec = spec_of(LEVELS)
    rows = pd.DataFrame({"town": ["Rom", "ulm", "[UNK]", "1\x1fUlm"], "flag": ["maybe", None, "True", "true"]})
    assert features(rows, spec=spec)[:, :3].tolist() == [[0, 0, 0]] * 4
    assert features(rows, spec=spec)[:, 3:].tolist() == [[0, 0], [0, 0], [1, 0], [1, 0]]  # True and true are one level


@pytest.mark.parametrize("levels, embedded", [(MOST_ONE_HOT, False), (MOST_ONE_HOT + 1, True)])
def test_many_levels_become_codes(levels, embedded):
    frame = pd.DataFrame({"word": [f"w{i:02}" for i in range(levels)] * 2})
    prepared = preprocessed(frame)
    assert list(prepared) == (["codes"] if embedded else ["features"])
    if embedded:
        assert prepared["codes"].dtype == np.int32
        assert prepared["codes"][:, 0].tolist() == [2 + i for i in range(levels)] * 2
        late = preprocessed(pd.DataFrame({"word": ["new", None]}), spec=spec_of(frame))
        assert late["codes"].tolist() == [[0], [1]]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.none() | st.sampled_from(["", "a", "ä", "1", "\U0001f600", "a b"]), min_size=1, max_size=9))
def test_each_row_has_one_indicator_of_its_level(cells):
    frame = pd.DataFrame({"known": ["a", "ä", "1", "\U0001f600", "a b", None]})
    prepared = features(pd.DataFrame({"known": pd.Series(cells, dtype=object)}), spec=spec_of(frame))
    assert (prepared.sum(axis=1) == 1).all()
    assert [row == 0 for row in prepared.argmax(axis=1)] == [not cell for cell in cells]


NAMES = [
    "plain", "with space", "a/b", "a_b", "a_b_", "Größe", "été", "列", "\U0001f600", "", " ", "x:y", "x.y", "-1", "0",
    "tab\tin", "back\\slash", "per%cent", "name", "training", "features", "numbers", "inputs", "network",
    "preprocessing", "levels", "one_hot", "few_levels", "many_levels", "model", "output", "dense_0", "{x}", "a/b/c",
]  # fmt: skip


def build(hp, spec):
    knobs = Knobs(hp, defaults={"scaling": "robust_quantile"})
    preprocessing = preprocess_table(spec, scaling=knobs.get("scaling"))
    inputs = preprocessing.tensors()
    output, loss = add_head(join_features(inputs, preprocessing), spec, knobs)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, output, loss, knobs)


@pytest.fixture(scope="module")
def mixed():
    """Columns of all kinds under difficult names, and their spec."""
    rows = 80
    columns = {name: rng.normal(size=rows) for name in NAMES[::2]}
    columns |= {name: rng.choice(["a", "b", None], rows) for name in NAMES[1::2]}
    frame = pd.DataFrame({**columns, "many levels": [f"l{i % 40}" for i in range(rows)]})
    frame.iloc[3, :5] = np.nan
    return frame, spec_of(frame)


def test_keys_are_distinct_and_safe(mixed):
    keys = [input_.key for input_ in mixed[1].inputs]
    assert len(set(keys)) == len(NAMES) + 1
    assert not [key for key in keys if "/" in key or "\t" in key or not key]
    assert [input_.name for input_ in mixed[1].inputs][: len(NAMES[::2])] == NAMES[::2]


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_the_whole_equals_network_on_prepared_to_the_last_bit(mixed, tmp_path):
    frame, spec = mixed
    built_model = call_build(build, CheckedHyperParameters(), spec)
    raw = tensors(frame, spec)
    expected = built_model.network(built_model.preprocessing.model()(raw)).numpy()
    full_model = built_model.full_model()
    assert np.array_equal(full_model(raw).numpy(), expected)
    full_model.save(tmp_path / "model.keras", include_optimizer=False)
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.array_equal(loaded(raw).numpy(), expected)
    for model in (full_model, loaded):
        apart = split_model(model)
        assert np.array_equal(apart.network(apart.preprocessing.model()(raw)).numpy(), expected)
        assert np.array_equal(apart.full_model()(raw).numpy(), expected)
    one = {key: value[:1] for key, value in raw.items()}
    assert np.allclose(loaded(one).numpy(), expected[:1], atol=1e-6)


def test_preparation_has_no_weight_that_trains(mixed):
    model = build(CheckedHyperParameters(), mixed[1])
    preprocessing = model.get_layer("preprocessing")
    assert preprocessing.trainable_weights == []
    assert len(model.trainable_weights) == len(model.get_layer("network").trainable_weights) == 3
    preprocessing.trainable = True
    assert preprocessing.trainable_weights == []


def test_build_outside_the_workbench_gives_the_whole_model(mixed):
    frame, spec = mixed
    model = build(CheckedHyperParameters(), spec)
    assert model.compiled
    assert model(tensors(frame, spec)).shape == (80, 1)
    assert {layer.name for layer in model.layers} >= {"preprocessing", "network"}
    assert model.optimizer is model.get_layer("network").optimizer


def test_the_digest_is_of_what_is_prepared(mixed):
    spec = mixed[1]
    digest = preprocess_table(spec).digest
    assert digest == preprocess_table(Spec.from_json(spec.to_json())).digest
    assert digest != preprocess_table(spec, scaling="robust").digest
    assert digest != preprocess_table(spec_of(NUMBERS)).digest


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_the_precision_policy_does_not_reach_preparation(policy):
    before = keras.config.dtype_policy()
    expected = features(NUMBERS)
    keras.config.set_dtype_policy(policy)
    try:
        prepared = features(NUMBERS)
    finally:
        keras.config.set_dtype_policy(before)
    assert prepared.dtype == np.float32
    assert np.array_equal(prepared, expected)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_each_feature_is_attributed_to_the_column_that_changes_it(scaling: str) -> None:
    """The column of each feature is the only one whose cells change it."""
    rows = 60
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=rows), "gaps": np.where(np.arange(rows) % 3, rng.normal(size=rows), np.nan),
            "kind": rng.choice(["a", "b", "c"], rows), "size": rng.choice(["low", "medium", "high"], rows),
            "day": pd.date_range("2023-01-01", periods=rows, freq="41h").strftime("%Y-%m-%d %H:%M"),
            "note": rng.choice(["red car", "blue car", "red bus"], rows),
        }
    )  # fmt: skip
    frame.loc[::7, ["kind", "size", "day"]] = None
    kinds = {"size": "ordered:low<medium<high", "note": "text"}
    spec = describe_table(frame, (), "t", column=kinds)[0]
    preprocessing = preprocess_table(spec, scaling=scaling)
    model = preprocessing.model()
    columns = np.array(preprocessing.columns_of_features)
    before = np.asarray(model(tensors(frame, spec))["features"])
    assert before.shape[1] == len(columns)
    for name in frame.columns:
        changed = frame.assign(**{name: frame[name].sample(frac=1, random_state=1).to_numpy()})
        difference = np.asarray(model(tensors(changed, spec))["features"]) != before
        assert set(columns[difference.any(axis=0)]) == {name}
