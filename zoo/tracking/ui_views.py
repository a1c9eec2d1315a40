"""MLflow's pages: their addresses, and the columns and charts that they show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zoo.tracking.store import Store

VIEW = "zoo"
_TAG = f"mlflow.sharedViewState.{VIEW}"
# Maximum length of an experiment's tag in MLflow.
_LONGEST = 20_000
MOST_METRICS = 8


def format_page_url(server: str, experiment_id: str, *, charts: bool = False) -> str:
    """Return the address of an experiment's table of runs with the columns of :func:`set_view`.

    The plain address of an experiment opens an overview without runs.

    Args:
        server: Such as ``http://127.0.0.1:5000``.
        experiment_id: MLflow's id.
        charts: Open the charts instead of the table.
    """
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}&workflowType=machine_learning{mode}"


def set_view(
    store: Store, experiment_id: str, *, metrics: Sequence[str], params: Sequence[str], order: str, ascending: bool
) -> None:
    """Set the columns and charts of the experiment's page; metrics shown before stay.

    Args:
        store: Where runs are kept.
        experiment_id: MLflow's id.
        metrics: Metrics in columns; the first two are drawn.
        params: Parameters in columns and in parallel coordinates.
        order: Metric that runs are sorted by.
        ascending: Sort in ascending order.
    """
    tags = store.client.get_experiment(experiment_id).tags
    columns = json.loads(tags.get(_TAG, "{}")).get("selectedColumns", [])
    shown = [column[len("metrics.`") : -1] for column in columns if column.startswith("metrics.`")]
    chosen = list(dict.fromkeys([*metrics, *shown]))[
        :MOST_METRICS
    ]  # also metrics of other tasks in the same experiment
    text = json.dumps(_state(chosen, list(params), order, ascending))
    if len(text) < _LONGEST:
        store.client.set_experiment_tag(experiment_id, _TAG, text)


def _state(metrics: list[str], params: list[str], order: str, ascending: bool) -> dict[str, Any]:
    columns = ["attributes.`Duration`", "tags.`zoo.kind`", "tags.`zoo.source`"]
    columns += [f"metrics.`{name}`" for name in metrics] + [f"params.`{name}`" for name in params]
    return {
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "SHOWALL",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": ascending,
        "compareRunCharts": _charts(metrics, params, order),
        "compareRunSections": [
            {"uuid": VIEW, "name": "Scores", "display": True, "isReordered": True, "deleted": False,
             "isGenerated": False}
        ],
    }  # fmt: skip


def _charts(metrics: list[str], params: list[str], order: str) -> list[dict[str, Any]]:
    shared = {
        "runsCountToCompare": 20, "metricSectionId": VIEW, "deleted": False, "isGenerated": False,
        "useGlobalXaxisKey": True,
    }  # fmt: skip
    charts: list[dict[str, Any]] = [
        {
            "type": "LINE", "metricKey": f"epoch/{order}", "selectedMetricKeys": [f"epoch/{order}"], "xAxisKey": "step",
            "selectedXAxisMetricKey": "", "xAxisScaleType": "linear", "scaleType": "linear", "lineSmoothness": 0,
            "yAxisKey": "metric", "yAxisExpressions": [], "range": {},
        },
        *({"type": "BAR", "metricKey": name} for name in metrics[:2]),
    ]  # fmt: skip
    if params:
        charts.insert(
            0, {"type": "PARALLEL", "selectedParams": params, "selectedMetrics": [order], "showAllRuns": True}
        )
        axes = {"xaxis": {"key": params[0], "type": "PARAM"}, "yaxis": {"key": order, "type": "METRIC"}}
        charts.append({"type": "SCATTER", **axes})
    return [{**shared, **chart, "uuid": f"{VIEW}{index}"} for index, chart in enumerate(charts)]
