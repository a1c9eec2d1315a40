"""Gymnasium environments: made and checked, their episodes, states and the hyperparameters that some of them need."""

from ._checks import check_steps, describe_space, read_mask
from ._drawing import DrawnEpisode, check_drawing, draw_episode, explain_undrawable
from ._envpool import EnvPoolStepper
from ._episodes import Episodes
from ._evaluation import (
    EpisodePlayer,
    PlayedEpisodes,
    make_constant_policy,
    make_random_policy,
    play_baseline,
    play_episodes,
)
from ._making import describe_observations, find_added_limit, find_threshold, get_baseline_policies, make_environment
from ._metrics import find_metrics
from ._naming import OWN, describe_code, describe_content, name_environment
from ._process_figure import draw_process
from ._settings import apply_settings, describe_settings, find_settings
from ._states import (
    TRANSITIONS,
    DecisionProcess,
    check_published,
    find_process,
    is_published,
    require_process,
    require_states,
)

__all__ = [
    "OWN",
    "TRANSITIONS",
    "DecisionProcess",
    "DrawnEpisode",
    "EnvPoolStepper",
    "EpisodePlayer",
    "Episodes",
    "PlayedEpisodes",
    "apply_settings",
    "check_drawing",
    "check_published",
    "check_steps",
    "describe_code",
    "describe_content",
    "describe_observations",
    "describe_settings",
    "describe_space",
    "draw_episode",
    "draw_process",
    "explain_undrawable",
    "find_added_limit",
    "find_metrics",
    "find_process",
    "find_settings",
    "find_threshold",
    "get_baseline_policies",
    "is_published",
    "make_constant_policy",
    "make_environment",
    "make_random_policy",
    "name_environment",
    "play_baseline",
    "play_episodes",
    "read_mask",
    "require_process",
    "require_states",
]
