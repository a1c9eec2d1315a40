"""Names of the tags and artifacts that zoo writes to MLflow."""

from __future__ import annotations

OBJECTIVE_TAG, DIRECTION_TAG, BEST_TAG = "zoo.objective", "zoo.direction", "zoo.best"


SCORED_TAG = "zoo.scored"


BASELINE_TAG = "zoo.baseline_key"


LESS_TAG = "zoo.less_is_better"


RESULT_FILE = "result.json"


JOB_FILE = "job.yaml"


SEEDS, CROSS_VALIDATION, FOLD, COMPARED = "seeds", "cross_validation", "fold", "compared"


REPRODUCTION = "reproduction"


VERSIONS_FILE = "versions.json"


REPEAT_TAG = "zoo.repeat"


CHECKPOINT_FILE = "checkpoint.bin"
