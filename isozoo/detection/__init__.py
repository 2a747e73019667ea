"""Detection and instance segmentation on isozoo backbones; so far the geometry of it."""
