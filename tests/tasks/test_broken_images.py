"""Images that cannot be read: refused with advice, or left out with their names; predictions name their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer
from PIL import Image

import zoo
from zoo.data.sources.image_files import drop_broken_images, read_images
from zoo.errors import DataError

FAST = ["--epochs", "1", "--baselines", "none", "--no-figures", "--set", "filters=4", "--set", "blocks=1"]


@pytest.fixture
def broken(images: Path) -> Path:
    """A folder of class folders in which three of 48 files are damaged."""
    (images / "top" / "3.png").write_bytes(b"no image")
    whole = (images / "bottom" / "5.png").read_bytes()
    (images / "bottom" / "5.png").write_bytes(whole[: len(whole) // 2])
    (images / "bottom" / "6.png").write_bytes(b"")
    return images


def test_skipping_is_asked_for(broken: Path, command: Callable[..., Answer]) -> None:
    answer = command("train", "image/cnn", "shapes", *FAST)
    assert answer.status == 2
    assert "shapes/bottom/5.png: cannot be read as an image" in answer.err
    assert "to leave out such images, use --skip-broken" in answer.err


def test_train_report_and_predict_without_them(
    broken: Path, command: Callable[..., Answer], caplog: pytest.LogCaptureFixture
) -> None:
    note = "3 of 48 images cannot be read and are left out: bottom/5.png, bottom/6.png, top/3.png"
    trained = command("train", "image/cnn", "shapes", "--skip-broken", *FAST)
    assert trained.status == 0, trained.err
    assert note in trained.err + trained.out
    report = command("data", "shapes", "--task", "image", "--skip-broken", "--json")
    assert note in report.json["notes"]
    assert sum(report.json["splits"].values()) == 45
    run = zoo.train("image/cnn", "shapes", skip_broken=True, epochs=1, baselines="none", figures=False, quiet=True)
    assert "--skip-broken" in command("predict", run.run_id, "shapes").err
    answer = command("predict", run.run_id, "shapes", "--skip-broken", "--output", "predictions.csv")
    assert answer.status == 0, answer.err
    assert note in caplog.text
    predictions = pd.read_csv("predictions.csv")
    assert list(predictions)[:2] == ["file", "prediction"]
    files = sorted(str(file.relative_to(broken)) for file in broken.rglob("*.png"))
    assert predictions["file"].tolist() == [name for name in files if name not in note]
    one = run.model.predict(str(broken / "top" / "1.png"))
    assert one["file"].tolist() == ["1.png"]
    expected = predictions.set_index("file").loc["top/1.png", "prediction"]
    assert one["prediction"].tolist() == [expected]


def test_a_table_of_files(broken: Path, command: Callable[..., Answer]) -> None:
    files = sorted(str(file.relative_to(broken.parent)) for file in broken.rglob("*.png"))
    frame = pd.DataFrame({"number": range(48), "path": files, "kind": [Path(file).parent.name for file in files]})
    frame.loc[20, "path"] = "shapes/bottom/absent.png"
    frame.to_csv("table.csv", index=False)
    with pytest.raises(DataError, match="--skip-broken"):
        zoo.train("image/cnn", "table.csv", target="kind", epochs=1, quiet=True)
    run = zoo.train(
        "image/cnn", "table.csv", target="kind", drop=["number"], skip_broken=True, epochs=1, baselines="none",
        figures=False, quiet=True,
    )  # fmt: skip
    predictions = run.model.predict("table.csv", keep=["number"], skip_broken=True)
    absent = [f"shapes/{name}.png" for name in ("bottom/5", "bottom/6", "bottom/absent", "top/3")]
    kept = frame[~frame["path"].isin(absent)]
    assert predictions["file"].tolist() == kept["path"].tolist()
    assert predictions["number"].tolist() == kept["number"].tolist()
    assert predictions["prediction"].notna().all()


def test_all_are_broken(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with drop_broken_images(True), pytest.raises(DataError, match=r"none of 1 images can be read: .*a\.png"):
        read_images(tmp_path, "here")


def test_given_splits_stay_with_their_images(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("a", "b"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.fromarray(np.full((4, 4), number, np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "train" / "a" / "1.png").write_bytes(b"no image")
    with drop_broken_images(True):
        frame, split, notes = read_images(tmp_path, "here")
    assert split is not None
    assert split.tolist() == [file.split("/")[0] for file in frame["file"]]
    assert frame["class"].tolist() == [file.split("/")[1] for file in frame["file"]]
    assert len(frame) == 11
    assert notes == ["1 of 12 images cannot be read and are left out: train/a/1.png"]


@pytest.mark.slow
def test_a_test_source_and_a_comparison(broken: Path, command: Callable[..., Answer]) -> None:
    options = ["--skip-broken", "--test", "shapes"]
    trained = command("train", "image/cnn", "shapes", *options, *FAST)
    assert trained.status == 0, trained.err
    assert "the test source: 3 of 48 images cannot be read" in trained.err + trained.out
    compared = command("compare", "shapes", "--models", "image/cnn", "--skip-broken", "--epochs", "1")
    assert compared.status == 0, compared.err
