"""Names of the tags and artifacts that zoo writes to MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

OBJECTIVE_TAG, DIRECTION_TAG, BEST_TAG = "zoo.objective", "zoo.direction", "zoo.best"
SCORED_TAG = "zoo.scored"
BASELINE_TAG = "zoo.baseline_key"
LESS_TAG = "zoo.less_is_better"
REPEAT_TAG = "zoo.repeat"
HOST_TAG, PROCESS_TAG, STARTED_TAG = "zoo.host", "zoo.process", "zoo.process_started"
VERSION_TAG, PYTHON_TAG, MACHINE_TAG, GIT_CHANGED_TAG = "zoo.version", "zoo.python", "zoo.machine", "zoo.git_changed"
VALIDATION_TAG = "zoo.validation"  # number and digest of the validation rows; scores on other rows are not comparable
SPLIT_TAG, SEED_TAG = "zoo.split_digest", "zoo.seed"
DETAILS_TAG = "zoo.details"
JOB_TAG = "zoo.job"  # a run has it from its creation on, before its job.yaml is written
# Tags that no search filters by; DETAILS_TAG holds them as JSON, so that a run's page has few tags.
_DETAILS = (
    PROCESS_TAG, STARTED_TAG, VERSION_TAG, PYTHON_TAG, MACHINE_TAG, GIT_CHANGED_TAG, SPLIT_TAG, SEED_TAG, DIRECTION_TAG,
    LESS_TAG, JOB_TAG,
)  # fmt: skip

_LONGEST_DETAILS = 5000  # characters of a tag in MLflow's servers

RESULT_FILE, JOB_FILE, SPLIT_FILE = "result.json", "job.yaml", "split.json"
VERSIONS_FILE, CHECKPOINT_FILE = "versions.json", "checkpoint.bin"

SEEDS, CROSS_VALIDATION, FOLD, COMPARED = "seeds", "cross_validation", "fold", "compared"
REPRODUCTION = "reproduction"


def pack_details(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a new run, with those that no search filters by in one tag.

    Example:
        >>> pack_details({"zoo.kind": "train", "zoo.seed": "0"})
        {'zoo.kind': 'train', 'zoo.details': '{"zoo.seed": "0"}'}
    """
    details = {name: tags[name] for name in _DETAILS if name in tags}
    tags = {name: tags[name] for name in tags if name not in details}
    if len(json.dumps(details)) > _LONGEST_DETAILS:
        details.pop(JOB_TAG, None)
    return {**tags, DETAILS_TAG: json.dumps(details)}


def unpack_tags(run: Any) -> dict[str, str]:
    """Return all tags of a run, details included.

    Runs of zoo 0.1.0 have no details but a tag for each; so has a resumed run for its new process, which counts.
    """
    return {**json.loads(run.data.tags.get(DETAILS_TAG, "{}")), **run.data.tags}
