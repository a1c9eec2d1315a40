"""Observations to predict are those that the environment returns, whatever its space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import mlflow
import numpy as np
import pandas as pd
import pytest
from gymnasium import spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zoo.tasks.rl._environments import describe_space

import zoo
from zoo.data.examples.given_observations import convert_observations, read_observations
from zoo.errors import DataError
from zoo.portable.observations import count_numbers, encode_observation, read_observation
from zoo.portable.rows import read_inputs
from zoo.saving.portable_inputs import describe_input
from zoo.spec import ObservationInput, Spec

_shapes = st.lists(st.integers(1, 3), max_size=2).map(tuple)
_leaves = st.one_of(
    st.builds(lambda shape: spaces.Box(-1.0, 1.0, shape, np.float32), _shapes),
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(2, 4), st.integers(-2, 2)),
    st.builds(
        lambda n, start: spaces.MultiDiscrete(n, start=np.full(len(n), start)),
        st.lists(st.integers(2, 4), min_size=1, max_size=3),
        st.integers(-2, 2),
    ),
    st.builds(spaces.MultiBinary, st.integers(1, 3)),
)
_spaces = st.recursive(
    _leaves,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(spaces.Tuple),
        st.dictionaries(st.sampled_from("abc"), parts, min_size=1).map(spaces.Dict),
    ),
    max_leaves=5,
)


def plain(value: Any) -> Any:
    """An observation as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, tuple) else np.asarray(value).tolist()


@settings(deadline=None, max_examples=60)
@given(_spaces, st.integers(0, 999))
def test_the_vector_is_that_of_gymnasium(space: Any, seed: int) -> None:
    space.seed(seed)
    description, observation = describe_space(space, "Any-v0"), space.sample()
    expected = spaces.flatten(space, observation).astype(np.float32)
    assert encode_observation(observation, description).tolist() == expected.tolist()
    assert read_observation(json.dumps(plain(observation)), description).tolist() == expected.tolist()
    assert count_numbers(description, one_hot=True) == len(expected)
    if len(expected) > count_numbers(description, one_hot=False):
        assert read_observation(expected, description).tolist() == expected.tolist()  # as it was taken before


@settings(deadline=None, max_examples=60)
@example(spaces.Box(-1.0, 1.0, ()), 2, 0)
@given(_spaces, st.integers(1, 3), st.integers(0, 999))
def test_one_several_and_those_of_a_vector_environment(space: Any, count: int, seed: int) -> None:
    space.seed(seed)
    description, observations = describe_space(space, "Any-v0"), [space.sample() for _ in range(count)]
    expected = [spaces.flatten(space, each).astype(np.float32).tolist() for each in observations]
    input_ = ObservationInput("observation", "observation", shape=(len(expected[0]),), space=description)
    batch = gymnasium.vector.utils.create_empty_array(space, n=count)
    batch = gymnasium.vector.utils.concatenate(space, observations, batch)
    frame = pd.DataFrame({"observation": pd.Series(observations, dtype=object)})
    for rows, wanted in (
        (observations[0], expected[:1]),
        ((observations[0], {}), expected[:1]),
        ({"observation": observations[0]}, expected[:1]),
        (observations, expected),
        (batch, expected),
        ([{"observation": each} for each in observations], expected),
        (frame, expected),
    ):
        cells = convert_observations(rows, input_)["observation"]
        assert read_observations(cells, input_, "rows").tolist() == wanted
    restored = Spec.from_json(Spec("rl", (input_,)).to_json()).inputs[0]
    portable = read_inputs({"observation": [plain(each) for each in observations]}, [describe_input(restored)])
    assert np.array(portable["observation"]).tolist() == expected


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (spaces.Discrete(4), 4, "expected an integer from 0 to 3; received 4"),
        (spaces.Discrete(4), [1, -1], "observation 2 is none of this environment: expected an integer from 0 to 3"),
        (spaces.Discrete(4), 1.5, "expected an integer from 0 to 3; received 1.5"),
        (spaces.MultiDiscrete([3, 2]), [2, 2], "expected an integer from 0 to 1; received 2"),
        (spaces.Box(-1, 1, (2,)), [0.5, np.nan], "expected finite numbers"),
        (spaces.Box(-1, 1, (2,)), [0.5], "expected finite numbers of shape (2,); received shape (1,)"),
        (spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2)), {"a": 1}, "'b' is missing"),
        (spaces.Tuple([spaces.Discrete(32), spaces.Discrete(11)]), (40, 1), "an integer from 0 to 31; received 40"),
        (spaces.Discrete(4), [], "there are no observations to predict"),
        (spaces.Discrete(4), None, "received None"),
    ],
)
def test_what_is_no_observation(space: Any, value: Any, message: str) -> None:
    description = describe_space(space, "Any-v0")
    if isinstance(space, spaces.Discrete):
        input_ = ObservationInput("observation", "observation", n=int(space.n))
    else:
        size = (count_numbers(description, one_hot=True),)
        input_ = ObservationInput("observation", "observation", shape=size, space=description)
    with pytest.raises(DataError) as caught:
        convert_observations(value, input_)
    assert message in str(caught.value)


def test_blackjack_from_training_to_a_served_model(workspace: Path) -> None:
    run = zoo.train(
        "rl/dqn", "Blackjack-v1", epochs=1, figures=False, baselines="none", quiet=True,
        hyperparameters={"learning_starts": 100, "period": 400},
    )  # fmt: skip
    environment = gymnasium.make("Blackjack-v1")
    observations = [(total, card, ace) for total in (5, 12, 21) for card in (1, 10) for ace in (0, 1)]
    flat = np.array([spaces.flatten(environment.observation_space, each) for each in observations], np.float32)
    expected = np.asarray(run.model.keras_model({"observation": flat})).argmax(axis=1).tolist()
    assert len(set(expected)) == 2
    Path("rows.jsonl").write_text("\n".join(json.dumps({"observation": each}) for each in observations))
    parts = pd.DataFrame(observations, columns=[f"observation_{index}" for index in range(3)])
    parts.to_csv("parts.csv", index=False)
    model = zoo.load(run.run_id)
    for rows in (observations, flat, "rows.jsonl", "parts.csv", parts, pd.DataFrame({"observation": observations})):
        assert model.predict(rows)["prediction"].tolist() == expected
    assert model.predict(environment.reset(seed=1)).shape == (1, 1)
    served = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model")
    assert served.predict(pd.DataFrame({"observation": [list(each) for each in observations]})).shape == (12, 1)
