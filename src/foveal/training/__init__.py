"""Training: fit, optimizers, schedules of the learning rate, checkpoints and the history of a run."""

from foveal.training.checkpoint import Checkpoint
from foveal.training.fit import fit
from foveal.training.history import Epoch, History

__all__ = ["Checkpoint", "Epoch", "History", "fit"]
