"""Detection and instance segmentation on isozoo backbones: feature pyramid and Mask R-CNN."""
