"""MLflow's scoring server for a model of zoo, with CSV read as in ``zoo predict``."""

from __future__ import annotations

import io
import json
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, ZooError
from zoo.quiet_import import import_tensorflow
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.spec import ImageInput

if TYPE_CHECKING:  # it imports Keras, which only the server itself needs
    from zoo.saving.model import Model

MODEL_VARIABLE, MAX_BODY_VARIABLE = "ZOO_SERVED_MODEL", "ZOO_SERVED_MAX_BODY_MB"
CSV, JSON = "text/csv", "application/json"
MAX_DRAINED = 2**31  # bytes of too large a body that are read and discarded, so that the client reads the answer
MAX_DIGITS = 300  # of an integer in JSON; one with more digits is no number that a model can take


def create_app() -> Any:
    """Return the application that serves the model in the folder named by ``ZOO_SERVED_MODEL``.

    MLflow's CSV parser needs a type for each column, but the signature leaves them open on purpose. So CSV is read
    here, as ``zoo predict`` reads a file. ``?intervals=90`` requests intervals, and other names are the task's own
    options of prediction, as ``params`` are in JSON.

    A request with a body above ``ZOO_SERVED_MAX_BODY_MB`` (default 64) gets status 413; what is wrong with other
    requests gets status 400. A client never gets a stack trace.
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
    async def read_rows(request: Request, call_next: Any) -> Response:
        if request.method != "POST" or request.url.path != "/invocations":
            other: Response = await call_next(request)
            return other
        body, kind = await request.body(), request.headers.get("content-type", "").partition(";")[0].strip()
        if not kind:
            return Response(_refusal(f"the header Content-Type is missing; use {CSV} or {JSON}"), 415, media_type=JSON)
        if kind == CSV:
            asked = dict(request.query_params)
            status, text = await run_in_threadpool(_answer, model.get_raw_model(), body, asked)
            return Response(text, status, media_type="application/json")
        if kind == JSON and (problem := await run_in_threadpool(find_json_problem, body)) is not None:
            return Response(_refusal(problem), 400, media_type="application/json")
        answer: Any = await call_next(request)
        if answer.status_code < 400 or answer.status_code == HTTPStatus.GATEWAY_TIMEOUT:
            return answer
        text = _remove_stack_trace(b"".join([chunk async for chunk in answer.body_iterator]))
        return Response(text, answer.status_code, media_type=JSON)

    served.add_middleware(BodyLimit, max_bytes=int(os.environ.get(MAX_BODY_VARIABLE, "64")) * 2**20)
    return served


class BodyLimit:
    """ASGI middleware that answers 413 to a request with too large a body, before anything reads it.

    Args:
        app: The application behind it.
        max_bytes: Largest body.
    """

    def __init__(self, app: Any, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body of a request up to the limit, and pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        chunks: list[bytes] = []
        size, more = 0, True
        while more and size <= MAX_DRAINED:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunk = message.get("body", b"")
            size, more = size + len(chunk), message.get("more_body", False)
            if size <= self.max_bytes:
                chunks.append(chunk)
            else:
                chunks.clear()
        if size > self.max_bytes:
            await self._refuse(send)
            return
        body = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]
        chunks.clear()

        async def read() -> Any:
            return body.pop() if body else await receive()

        await self.app(scope, read, send)

    async def _refuse(self, send: Any) -> None:
        text = _refusal(f"the request is larger than {self.max_bytes // 2**20} MB; send fewer rows at a time")
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


def find_json_problem(body: bytes) -> str | None:
    """Return what is wrong with a body that should be JSON; None if it can be read.

    Example:
        >>> find_json_problem(b"[" * 100_000)
        'the request is JSON with too many levels of lists or objects'
    """

    def parse_integer(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise UsageError(f"the request has an integer of {len(digits):,} digits: {digits[:10]}…")
        return int(digits)

    try:
        json.loads(body, parse_int=parse_integer)
    except UsageError as error:
        return str(error)
    except RecursionError:
        return "the request is JSON with too many levels of lists or objects"
    except ValueError as error:  # also bytes that are not UTF-8
        return f"the request is not JSON: {error}"
    return None


def _remove_stack_trace(body: bytes) -> str:
    """Return MLflow's message about an error without the stack trace that it may have."""
    try:
        values = json.loads(body)
    except ValueError:
        return _refusal(body.decode("utf-8", "replace"))
    if not isinstance(values, dict) or "message" not in values:
        return _refusal("the model cannot predict these rows; the server's log says why", "INTERNAL_ERROR")
    return json.dumps({name: value for name, value in values.items() if name != "stack_trace"})


def _refusal(message: str, code: str = "INVALID_PARAMETER_VALUE") -> str:
    return json.dumps({"error_code": code, "message": message})


def _answer(model: Model, rows: bytes, options: dict[str, Any]) -> tuple[int, str]:
    """Return status and text of the response to rows in CSV."""
    from mlflow.pyfunc.scoring_server import predictions_to_json

    if model.spec.of_kind(ImageInput):  # a CSV of images holds paths, which would be read on this machine
        return 400, _refusal("send images in JSON, as lists of lists of numbers")
    with open_temporary_folder() as folder:
        path = folder / "rows.csv"
        path.write_bytes(rows)
        try:
            percent = _percent(options.pop("intervals", None))
            predictions = model.predict(path, intervals=percent, **options)
        except ZooError as error:
            return 400, _refusal(str(error).replace(str(path), "rows"))
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
