"""What a user is told when data or wishes do not fit a task: where, what, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer
from PIL import Image

from zoo.tracking.store import Store

CARTPOLE = ["train", "rl/dqn", "CartPole-v1"]
CASES = {
    "train image/cnn broken": "broken/dog/1.png: cannot be read as an image",
    "train image/cnn nothing": "the folder has no images; expected class folders",
    "train image/cnn images/cat": "the folder has images but no class folders",
    "train sequence/gru long.csv --target who": "a long table needs --series COLUMN and --time COLUMN",
    "train image/cnn wine": "has a table, which this task does not read; tasks that do: anomaly, classification, "
    "clustering, regression",
    "train image/cnn images --size 2": "size: received '2'; input should be greater than or equal to 4",
    "train image/cnn images --sise 9": "unknown option 'sise'; the options of image are size (did you mean 'size'?)",
    "train image/cnn digits --clusters 3": "unknown option 'clusters'; the options of image are size",
    "train classification/mlp images": "has images, which this task does not read; tasks that do: clustering, image",
    "train classification/mlp sequences.npz": "has sequences, which this task does not read; tasks that do: sequence",
    "train classification/mlp CartPole-v1": "has an environment, which this task does not read; tasks that do: rl",
    "train sequence/gru wine": "has a table, which this task does not read",
    "train sequence/gru empty.npz": "column sequence, row 18: the sequence has no steps",
    "train sequence/gru long.csv --series id": "time: a long table needs both --series COLUMN and --time COLUMN",
    "train sequence/gru long.csv --series ids --time t": "no column 'ids' for --series; columns: id, t, u, who "
    "(did you mean 'id'?)",
    "train sequence/gru long.csv --series id --time t --target u --unit syllable": "should be 'character' or 'word'",
    "train sequence/gru too_long.npz": "len_train has lengths 3 to 99, but x_train has 5 steps",
    "train clustering/autoencoder points.csv --clusters 90": "90 clusters for 38 training rows: there must be "
    "more rows",
    "train clustering/autoencoder points.csv --labels nam": "no column 'nam' of labels; columns: a, b, name "
    "(did you mean 'name'?)",
    "train clustering/autoencoder copied.csv --clusters 3 --labels name": "column twin is equivalent to the labels "
    "name and would leak them; use --drop twin",
    "train clustering/autoencoder points.csv --target name": "predicts no column; --labels COLUMN scores by one",
    "train sequence/gru japanese_vowels --text foo": "text: the source has sequences of numbers",
    "train rl/dqn FrozenLake-v1 --env map_name=9x9": "does not take these options: KeyError: '9x9'",
    "train rl/dqn CartPole-v1 --fold 1/5": "fold: an agent has no rows to fold",
    "train rl/dqn CartPol-v1": "no such environment: Environment `CartPol` doesn't exist (did you mean 'CartPole-v1'?)",
    "train rl/dqn ALE/Pong-v5": 'run pip install "ale-py", and name the environment ale_py:ALE/Pong-v5',
    "train rl/dqn ale_py:ALE/Pong-v5": 'ale-py is not installed; run pip install "ale-py"',
    "train rl/dqn LunarLander-v3": 'box2d is not installed; run pip install "keras-task-zoo[box2d]"',
    "train rl/dqn no_such_module:Thing-v0": "No module named 'no_such_module'",
    "train rl/dqn envs/grid.py:Grid": "is named as MODULE:CLASS, without .py: envs.grid:Grid",
    "train rl/dqn grid.py": "is named as MODULE:CLASS, without .py: grid:CLASS",
    "train rl/dqn Pendulum-v1": "the actions are numbers, and dqn chooses one of several discrete actions; take rl/ppo",
    "train rl/dqn wine": "the source has a table, which this task does not read",
    "train rl/dqn CartPole-v1 --cv 3": "cv: an agent has no rows to fold; --seeds repeats its training",
    "train rl/dqn CartPole-v1 --target x": "target: an environment has no columns and rows to choose from",
    "train rl/dqn CartPole-v1 --env gravity": "it must be KEY=VALUE, such as max_episode_steps=500",
    "train rl/dqn CartPole-v1 --env weight=3": "env: unknown option 'weight'; known: sutton_barto_reward, "
    "render_mode, max_episode_steps",
    "train rl/dqn CartPole-v1 --env render_mode=human": "env: render_mode=human opens a window, which training never "
    "does; zoo play RUN draws an episode of a run, and --video draws some of a training",
    "train rl/dqn CliffWalking-v1 --env is_slipery=1": "(did you mean 'is_slippery'?)",
    "train rl/dqn CliffWalking-v1 --solved auto": "CliffWalking-v1 has no threshold of its own; say a mean return",
    "train rl/dqn CartPole-v1 --solved soon": "input should be 'auto' or be a valid number",
    "train classification/mlp wine --seeds 1": "seeds: received 1; input should be greater than or equal to 2",
    "train classification/mlp wine --seeds 2 --cv 2": "seeds and cv exclude each other",
    "train classification/mlp wine --cv 100": "100 folds",
    "tune classification/mlp wine --seeds 1": "seeds: received 1; input should be greater than or equal to 2",
}  # fmt: skip


@pytest.fixture
def folder(workspace: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("images", "broken"):
        for kind in ("cat", "dog"):
            (workspace / name / kind).mkdir(parents=True)
            for number in range(3):
                image = rng.integers(0, 256, (8, 8), np.uint8)
                Image.fromarray(image).save(workspace / name / kind / f"{number}.png")
    (workspace / "broken" / "dog" / "1.png").write_bytes(b"no image")
    (workspace / "nothing" / "cat").mkdir(parents=True)
    lengths = np.full(60, 3)
    steps = rng.normal(size=(60, 5, 2)).astype(np.float32)
    np.savez("sequences.npz", x=steps, y=np.arange(60) % 2, len=lengths)
    np.savez("empty.npz", x=steps, y=np.arange(60) % 2, len=np.where(np.arange(60) == 17, 0, lengths))
    np.savez("too_long.npz", x=steps, y=np.arange(60) % 2, len=np.where(np.arange(60) == 17, 99, lengths))
    points = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "name": list("xyz") * 20})
    points.to_csv("points.csv", index=False)
    points.assign(twin=points["name"]).to_csv("copied.csv", index=False)
    long = [(number, step, rng.normal(), number % 2) for number in range(30) for step in range(4)]
    pd.DataFrame(long, columns=["id", "t", "u", "who"]).to_csv("long.csv", index=False)
    return workspace


def test_each_is_told(folder: Path, command: Callable[..., Answer]) -> None:
    wrong = {}
    for words, message in CASES.items():
        answer = command(*words.split())
        right = answer.status == 2 and message in answer.err and "Traceback" not in answer.err and answer.out == ""
        if not right:
            wrong[words] = (message, answer)
    assert wrong == {}, "\n".join(f"{words}: {message!r} not in {answer}" for words, (message, answer) in wrong.items())
    assert Store().search("") == []


def test_labels_are_no_feature(folder: Path, command: Callable[..., Answer]) -> None:
    """Nothing that a clustering learns from holds the labels, so that the model needs no column of them."""
    words = ["train", "clustering/autoencoder", "points.csv", "--clusters", "3", "--epochs", "1", "--baselines", "none"]
    with_labels = command(*words, "--labels", "name", "--json")
    assert with_labels.status == 0, with_labels.err
    without = pd.read_csv("points.csv").drop(columns="name")
    without.to_csv("bare.csv", index=False)
    assert command("predict", with_labels.json["run_id"], "bare.csv", "--output", "made.csv").status == 0
    pd.read_csv("points.csv").assign(name="other").to_csv("other.csv", index=False)
    other = command("predict", with_labels.json["run_id"], "other.csv", "--output", "other_made.csv")
    assert other.status == 0, other.err
    pd.testing.assert_frame_equal(pd.read_csv("made.csv"), pd.read_csv("other_made.csv"))
