"""The environment ``TrafficLight-v0``: the crossing, its traffic, classical rules for its light, and its drawing."""

from ._traffic_light import TrafficLight

__all__ = ["TrafficLight"]
