"""Figures. They are returned, never shown: matplotlib is imported when one is made, and pyplot is not touched."""

from foveal.show.canvas import save
from foveal.show.curves import history
from foveal.show.filters import filters

__all__ = ["filters", "history", "save"]
