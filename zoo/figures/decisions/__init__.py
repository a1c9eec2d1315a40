"""Figure of a Markov decision process, with states on a grid or on a circle."""

from zoo.figures.decisions.decision_process import draw_decision_process
from zoo.figures.decisions.graph import Transition

__all__ = ["Transition", "draw_decision_process"]
