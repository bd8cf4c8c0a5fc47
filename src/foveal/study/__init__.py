"""Experiments with a question: whole trainings whose result is a table and a picture, whatever they say."""

from foveal.study.curves import Point, Spread, curve, finding, table
from foveal.study.overfit import Overfit, Recipe, centred, overfit, recipe
from foveal.study.parameters import ParameterStudy, Trained, architecture, same_maps

__all__ = [
    "Overfit",
    "ParameterStudy",
    "Point",
    "Recipe",
    "Spread",
    "Trained",
    "architecture",
    "centred",
    "curve",
    "finding",
    "overfit",
    "recipe",
    "same_maps",
    "table",
]
