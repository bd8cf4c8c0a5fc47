"""Figures. They are returned, never shown: matplotlib is imported when one is made, and pyplot is not touched."""

from foveal.show.animation import Animation
from foveal.show.canvas import save
from foveal.show.coverage import coverage
from foveal.show.curves import history
from foveal.show.filters import filters
from foveal.show.moving_kernel import convolution
from foveal.show.number_grid import grid

__all__ = ["Animation", "convolution", "coverage", "filters", "grid", "history", "save"]
