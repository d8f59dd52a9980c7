"""From a trained student to the file that a device runs, with proof that it is the same model."""
