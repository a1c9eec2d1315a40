"""MLflow's scoring server for a model of zoo, with CSV read as in ``zoo predict``."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, ZooError
from zoo.quiet_import import import_tensorflow
from zoo.saving.model import Model
from zoo.spec import ImageInput

MODEL_VARIABLE = "ZOO_SERVED_MODEL"
CSV = "text/csv"


def create_app() -> Any:
    """Return the application that serves the model in the folder named by ``ZOO_SERVED_MODEL``.

    MLflow's CSV parser needs a type for each column, but the signature leaves them open on purpose. So CSV is read
    here, as ``zoo predict`` reads a file. ``?intervals=90`` requests intervals, and other names are the task's own
    options of prediction, as ``params`` are in JSON.
    """
    import_tensorflow()
    from fastapi import Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import Response
    from mlflow import pyfunc
    from mlflow.pyfunc import scoring_server

    model = pyfunc.load_model(os.environ[MODEL_VARIABLE])
    served: Any = scoring_server.init(model)

    @served.middleware("http")
    async def read_csv(request: Request, call_next: Any) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if request.method != "POST" or request.url.path != "/invocations" or kind != CSV:
            answer: Response = await call_next(request)
            return answer
        rows, asked = await request.body(), dict(request.query_params)
        status, text = await run_in_threadpool(_answer, model.get_raw_model(), rows, asked)
        return Response(text, status, media_type="application/json")

    return served


def _answer(model: Model, rows: bytes, options: dict[str, str]) -> tuple[int, str]:
    """Return status and text of the response to rows in CSV."""
    from mlflow.pyfunc.scoring_server import predictions_to_json

    if model.spec.of_kind(ImageInput):  # a CSV of images holds paths, which would be read on this machine
        message = "send images in JSON, as lists of lists of numbers"
        return 400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": message})
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(rows)
        try:
            percent = _percent(options.pop("intervals", None))
            predictions = model.predict(path, intervals=percent, **options)
        except ZooError as error:
            message = str(error).replace(str(path), "rows")
            return 400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": message})
    text = io.StringIO()
    predictions_to_json(predictions, text)
    return 200, text.getvalue()


def _percent(text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = -1.0
    if value is not None and not 0 < value < 100:
        raise UsageError(f"received {text!r}; it must be a number between 0 and 100, such as 90", where="intervals")
    return value
