"""Write what a Mask R-CNN finds, for `test_backends.py`.

    python -m tests.detection.compute numbers.npz

Run with TensorFlow on `tests/golden/detection.npz`, it renews what all backends are compared with.
"""

import sys

import numpy as np
from keras import ops

import isozoo
from isozoo.detection.mask_rcnn import MaskRCNN
from tests.detection.test_mask_rcnn import SMALL, squares


def main(target: str) -> None:
    """Compute and write."""
    model = MaskRCNN(isozoo.create("r-isonet-18-w32").backbone, 2, SMALL)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) > 1 and weight.trainable:
            # Small corrections, so that boxes stay apart.
            scale = 0.2 if "offsets" in weight.path else 1.4
            deviation = scale / np.sqrt(np.prod(weight.shape[:-1]))
            weight.assign(rng.normal(0, deviation, weight.shape))
    data = squares(2)
    found = model({"images": data["images"], "sides": np.array([[64, 64], [40, 50]])})
    found = {name: ops.convert_to_numpy(value) for name, value in found.items()}
    found["masks"] = found["masks"][:, :3]
    np.savez_compressed(target, allow_pickle=False, **found)


if __name__ == "__main__":
    main(sys.argv[1])
