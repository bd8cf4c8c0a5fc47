"""Training: fit, augmentation, optimizers, schedules of the learning rate, checkpoints and the history of a run."""

from foveal.training.augmentation import Crop, Cutout, Flip, Shift, augmented
from foveal.training.checkpoint import Checkpoint
from foveal.training.fit import fit
from foveal.training.history import Epoch, History

__all__ = ["Checkpoint", "Crop", "Cutout", "Epoch", "Flip", "History", "Shift", "augmented", "fit"]
