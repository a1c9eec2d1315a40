"""A saved model is as it was written, or is not loaded; nothing in its folder is executed."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pandas as pd
import pytest
import yaml
from command import Answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo.portable.digests import DIGEST, FILES, add_digests
from zoo.saving.model_facts import FACTS_FILE, FORMAT, KERAS_FILE
from zoo.saving.model_folder import load_model, save_model
from zoo.saving.pyfunc import check_flavor

OLDER = Path(__file__).parent / "format_1"
ROWS = pd.DataFrame({"size": [1.0, None, 30.0], "town": ["Ulm", "Bonn", "elsewhere"]})


def test_a_model_of_an_older_format_loads() -> None:
    predictions = load_model(OLDER).predict(ROWS)["prediction"].tolist()
    assert predictions == pytest.approx(json.loads((OLDER / "predicted.json").read_text()), rel=1e-5)
    assert json.loads((OLDER / FACTS_FILE).read_text())["format"] == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", load_model(OLDER))
    return tmp_path / "model"


def sealed(folder: Path, change: dict[str, Any]) -> None:
    """Write digests that fit: somebody who means it can do so."""
    facts = {**json.loads((folder / FACTS_FILE).read_text()), **change}
    facts = {name: value for name, value in facts.items() if name not in (DIGEST, FILES)}
    (folder / FACTS_FILE).write_text(json.dumps(add_digests(facts, folder, [folder / KERAS_FILE])))


def test_what_is_saved_is_loaded(folder: Path) -> None:
    assert json.loads((folder / FACTS_FILE).read_text())["format"] == FORMAT
    pd.testing.assert_frame_equal(load_model(folder).predict(ROWS), load_model(OLDER).predict(ROWS))
    save_model(folder, load_model(OLDER))  # over what is there
    load_model(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([KERAS_FILE, FACTS_FILE]), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_is_refused(folder: Path, name: str, place: float, change: int) -> None:
    whole = (folder / name).read_bytes()
    at = int(place * len(whole))
    (folder / name).write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
    try:
        facts = json.loads((folder / FACTS_FILE).read_text()) if name == FACTS_FILE else None
    except ValueError:
        facts = None
    try:
        if facts != json.loads(whole) if facts is not None else True:  # blanks between words mean nothing
            with pytest.raises(zoo.UsageError, match=r"changed since it was saved|has format|no model of zoo"):
                load_model(folder)
    finally:
        (folder / name).write_bytes(whole)


def test_code_in_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "told"
    inputs = {name: keras.Input((), name=name, dtype=kind) for name, kind in (("size", "float64"), ("town", "string"))}
    code = eval(f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]")
    output = keras.layers.Lambda(code, output_shape=())(inputs["size"])
    keras.Model(inputs, output).save(folder / KERAS_FILE)
    trace.unlink(missing_ok=True)
    sealed(folder, {})
    with pytest.raises(zoo.UsageError, match="cannot be loaded"):
        load_model(folder)
    assert not trace.exists()


def test_nothing_outside_of_the_folder_is_read_or_written(folder: Path, tmp_path: Path) -> None:
    facts = json.loads((folder / FACTS_FILE).read_text())
    outside = tmp_path / "outside.keras"
    shutil.move(folder / KERAS_FILE, outside)
    (folder / KERAS_FILE).symlink_to(outside)
    with pytest.raises(zoo.UsageError, match="outside of the folder"):
        load_model(folder)
    (folder / KERAS_FILE).unlink()
    shutil.copy(outside, folder / KERAS_FILE)
    contents = add_digests({**facts, FILES: None}, folder, [folder / KERAS_FILE])
    contents[FILES] = {f"../{outside.name}": contents[FILES][KERAS_FILE]}
    (folder / FACTS_FILE).write_text(json.dumps(contents))
    with pytest.raises(zoo.UsageError, match="changed since it was saved"):
        load_model(folder)
    with zipfile.ZipFile(folder / KERAS_FILE, "a") as archive:
        archive.writestr("../../escaped", "x")
        archive.writestr("assets/../../../escaped", "x")
    sealed(folder, {})
    with pytest.raises(zoo.UsageError, match=r"it contains the path \.\./\.\./escaped"):
        load_model(folder)
    assert not list(tmp_path.rglob("escaped"))
    assert not list(tmp_path.parent.glob("escaped"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loader_module": "antigravity"}, "its loader is antigravity"),
        ({"code": "code"}, "it contains code"),
        ({"data": "../../elsewhere"}, "its data are outside"),
        ({"data": None}, "cannot be read"),
    ],
)
def test_a_description_that_asks_for_other_code_is_not_served(
    change: dict[str, Any], said: str, workspace: Path, command: Callable[..., Answer]
) -> None:
    run = zoo.train("classification/linear", "iris", epochs=1, baselines="none", quiet=True)
    (file,) = Path("mlruns").rglob("MLmodel")
    description = yaml.safe_load(file.read_text())
    check_flavor(file.parent)
    description["flavors"]["python_function"].update(change)
    file.write_text(yaml.safe_dump(description))
    with pytest.raises(zoo.UsageError, match=said):
        check_flavor(file.parent)
    answer = command("serve", run.run_id)
    assert answer.status == 2
    assert said in answer.err


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"limits": 3},
        {"spec": []},
        {"spec": {"task": {}}},
        {"spec": {"inputs": 2.5}},
        {"spec": {"inputs": [2.5]}},
        {"spec": {"inputs": [{"kind": "number", "name": "age", "key": "age", "std": "wide"}]}},
        {"spec": {"targets": [{"name": "label", "kind": "class", "classes": 3}]}},
        {"format": "x"},
    ],
)
def test_a_model_that_was_changed_with_intent_is_refused_in_words(folder: Path, change: dict[str, Any]) -> None:
    """Facts with digests of their own pass as unchanged, so their values are checked too."""
    facts = json.loads((folder / FACTS_FILE).read_text())
    sealed(folder, {k: {**facts[k], **v} if isinstance(v, dict) else v for k, v in change.items()})
    with pytest.raises(zoo.UsageError) as caught:
        load_model(folder)
    assert caught.value.where is not None
