"""Exports predict what the model predicts, without zoo, or are not there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.portable.digests import compute_digest
from zoo.portable.predict import Exported
from zoo.portable.rows import read_rows
from zoo.tracking.store import Store

FORMATS = ["savedmodel", "onnx", "litert"]
# Whoever is handed the folder has no zoo, no pandas and no other runtime.
ALONE = """
import runpy, sys
for name in ("zoo", "keras", "mlflow", "pandas", {absent}): sys.modules[name] = None
sys.argv = [{script!r}, {rows!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture
def run(people: pd.DataFrame, workspace: Path) -> zoo.stored_runs.results.Run:
    people["born"] = (pd.Timestamp("1960-03-01") + pd.to_timedelta(np.arange(200) * 37, "D")).strftime("%d.%m.%Y")
    people.to_csv("people.csv", index=False)
    return zoo.train(
        "classification/mlp", "people.csv", target="rich", column={"born": "date:%d.%m.%Y"}, epochs=3, quiet=True,
        figures=False, baselines="none", calibration_size=0.3, calibrate="temperature", threshold="f1",
    )  # fmt: skip


def test_each_format_is_compared_and_predicts_without_zoo(run, command: Callable[..., Answer]) -> None:
    answer = command("export", run.run_id, "--output", "exported", "--json")
    assert answer.status == 0, answer.err
    assert [one["format"] for one in answer.json["exports"]] == FORMATS
    assert answer.json["refused"] == {}
    expected = zoo.load(run.run_id).predict("people.csv")
    for one in answer.json["exports"]:
        assert one["rows"] >= 100
        assert one["difference"] < 1e-5
        assert one["bytes"] > 1000
        absent = '"onnxruntime", "ai_edge_litert"' if one["format"] == "savedmodel" else '"tensorflow"'
        script = f"{one['folder']}/predict.py"
        code = ALONE.format(absent=absent, script=script, rows="people.csv")
        alone = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {one['folder']!r})\n{code}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        Path("made.csv").write_text(alone.stdout)
        pd.testing.assert_frame_equal(pd.read_csv("made.csv"), expected, atol=1e-5, check_dtype=False)
        stored = Store().client.download_artifacts(run.run_id, f"exports/{one['format']}.json", ".")
        assert json.loads(Path(stored).read_text())["difference"] == one["difference"]
    again = command("export", run.run_id, "--output", "exported")
    assert again.status == 2
    assert "exported/savedmodel" in again.err


@pytest.mark.slow
def test_eight_bits_say_what_they_cost(run) -> None:
    whole = zoo.export(run.run_id, "litert", "whole", quiet=True).exports[0]
    quantized = zoo.export(run.run_id, "litert", "small", quantize=True, quiet=True).exports[0]
    assert quantized.quantized
    assert quantized.bytes < 0.5 * whole.bytes
    assert quantized.score == "test_log_loss"
    assert quantized.before == pytest.approx(run.metrics["test_log_loss"], rel=1e-4)
    assert quantized.after == pytest.approx(quantized.before, rel=0.1)
    assert quantized.after != quantized.before
    assert "in 8 bits test_log_loss" in str(quantized)
    assert whole.before is None


@pytest.mark.parametrize(
    ("model", "source", "rows"),
    [
        ("image/cnn", "images.npz", "npz"),
        pytest.param("sequence/rnn", "japanese_vowels", "jsonl", marks=pytest.mark.slow),
    ],
)
def test_the_guide_names_a_file_that_can_hold_an_example(model: str, source: str, rows: str, workspace: Path) -> None:
    generator = np.random.default_rng(0)
    images = (255 * generator.random((60, 8, 8, 1))).astype(np.uint8)
    np.savez("images.npz", x=images, y=generator.integers(0, 2, 60))
    np.savez("rows.npz", image=images[:2])
    steps = [{"sequence": generator.normal(size=(count, 12)).tolist()} for count in (7, 12)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, steps)))
    Path("rows.csv").write_bytes(b"\x89PNG")
    run = zoo.train(model, source, epochs=1, baselines="none", figures=False, quiet=True)
    folder = Path(zoo.export(run.run_id, "onnx", rows, quiet=True).exports[0].folder)
    assert f"python predict.py rows.{rows} " in (folder / "README.md").read_text()
    assert len(Exported(folder).predict(read_rows(Path(f"rows.{rows}")))["prediction"]) == 2
    with pytest.raises(ValueError, match=r"rows\.csv is not text in UTF-8; expected a \.csv, \.jsonl or \.npz"):
        read_rows(Path("rows.csv"))


def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(
    workspace: Path, command: Callable[..., Answer]
) -> None:
    rng = np.random.default_rng(0)
    codes = pd.Series(rng.integers(0, 40, 200)).map("c{}".format)
    pd.DataFrame({"code": codes, "x": rng.normal(size=200), "y": rng.normal(size=200)}).to_csv("t.csv", index=False)
    run = zoo.train(
        "regression/linear",
        "t.csv",
        target="y",
        column={"code": "hashed:8"},
        epochs=1,
        quiet=True,
        figures=False,
        baselines="none",
    )
    asked = command("export", run.run_id, "--format", "onnx", "--output", "exported")
    assert asked.status == 2
    assert "onnx does not support the preprocessing layer HashCategories; use savedmodel" in asked.err
    assert not list(Path("exported").glob("*"))
    exports = zoo.export(run.run_id, output="exported", quiet=True)
    assert [one.format for one in exports.exports] == ["savedmodel"]
    assert set(exports.refused) == {"onnx", "litert"}
    assert sorted(path.name for path in Path("exported").iterdir()) == ["savedmodel"]


@pytest.fixture
def exported(run) -> Path:
    return Path(zoo.export(run.run_id, ["onnx", "savedmodel"], "exported", quiet=True).exports[0].folder).parent


def test_a_folder_that_somebody_changed_is_refused(exported: Path) -> None:
    folder = exported / "onnx"
    row = {"age": [50], "job": ["cook"], "height": [170.0], "born": ["13.01.1970"]}
    Exported(folder).predict(row)
    file, facts_file = folder / "model.onnx", folder / "model.json"
    whole, text = file.read_bytes(), facts_file.read_text()
    file.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    with pytest.raises(ValueError, match=r"model\.onnx was changed"):
        Exported(folder)
    file.write_bytes(whole)
    facts_file.write_text(text.replace('"kind": "classes"', '"kind": "number"'))
    with pytest.raises(ValueError, match=r"model\.json was changed"):
        Exported(folder)
    facts = json.loads(text)
    (exported / "other").write_bytes(whole)
    facts["files"] = {"../other": facts["files"]["model.onnx"]}
    facts_file.write_text(json.dumps({**facts, "digest": compute_digest(facts)}))
    with pytest.raises(ValueError, match="outside of the folder"):
        Exported(folder)
    facts["files"], facts["file"] = json.loads(text)["files"], "../other"
    facts_file.write_text(json.dumps({**facts, "digest": compute_digest(facts)}))
    with pytest.raises(ValueError, match="outside of the folder"):
        Exported(folder)
    (exported / "savedmodel" / "saved_model" / "assets" / "more").write_text("x")
    with pytest.raises(ValueError, match="was not exported with the model"):
        Exported(exported / "savedmodel")


def test_cells_that_cannot_be_read_name_column_and_row(run) -> None:
    model = Exported(Path(zoo.export(run.run_id, "onnx", "exported", quiet=True).exports[0].folder))
    row = {"age": [50, 60], "job": ["cook", None], "height": [170.0, "tall"], "born": ["13.01.1970", ""]}
    with pytest.raises(ValueError, match="column height, row 2: 'tall' is not a number"):
        model.predict(row)
    with pytest.raises(ValueError, match="column born, row 1: "):
        model.predict({**row, "height": [1, 2], "born": ["1970-01-13", None]})
    with pytest.raises(ValueError, match="the column 'age' that the model needs is missing"):
        model.predict({"job": ["cook"]})
    with pytest.raises(ValueError, match="no rows"):
        model.predict({name: [] for name in row})


def test_wrong_use(run, command: Callable[..., Answer]) -> None:
    for words, said in (
        (["--format", "onx"], "did you mean 'onnx'"),
        (["--format", "onnx", "--quantize"], "only litert can be quantized"),
        (["--output", "not/there"], "the folder does not exist"),
        (["--on", "nothing.csv"], "nothing.csv"),
    ):
        asked = command("export", run.run_id, *words)
        assert asked.status == 2, asked.err
        assert said in asked.err
    Path("people.csv").unlink()
    asked = command("export", run.run_id, "--format", "onnx")
    assert asked.status == 2
    assert "--on SOURCE" in asked.err


def test_rows_of_ones_own_and_runs_of_frames(people: pd.DataFrame, workspace: Path) -> None:
    run = zoo.train("regression/mlp", people, target="height", epochs=1, quiet=True, figures=False, baselines="none")
    with pytest.raises(zoo.UsageError, match="--on SOURCE"):
        zoo.export(run.run_id, "onnx", "exported", quiet=True)
    export = zoo.export(run.run_id, "onnx", "exported", on=people, quiet=True).exports[0]
    assert export.rows == 300
    columns = {name: people[name].tolist() for name in people.columns}
    numbers = Exported(export.folder).predict(columns)["prediction"]
    np.testing.assert_allclose(numbers, zoo.load(run.run_id).predict(people)["prediction"], rtol=1e-5)
