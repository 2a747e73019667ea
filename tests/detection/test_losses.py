"""What Mask R-CNN is to say of boxes, and how wrong it is, against NumPy in float64."""

import numpy as np
from keras import ops

from isozoo.detection.losses import box_losses, mask_loss, of_class, proposal_losses
from isozoo.detection.matching import Sample
from isozoo.detection.proposals import Scored
from isozoo.detection.targets import BoxTargets, Objects, ProposalTargets, mask_targets

RNG = np.random.default_rng(0)
INDICES = np.array([[3, 0, 4], [1, 2, 0]], "int32")
POSITIVE = np.array([[True, False, False], [True, True, False]])
VALID = np.array([[True, True, False], [True, True, True]])
DRAWN = Sample(*(ops.convert_to_tensor(part) for part in (INDICES, POSITIVE, VALID)))


def random(*shape):
    return RNG.normal(size=shape).astype("float32")


def cross_entropy(truth, logit):
    probability = 1 / (1 + np.exp(-np.float64(logit)))
    return -np.log(probability if truth else 1 - probability)


def test_the_proposal_network_is_as_wrong_as_defined():
    logits, offsets, truth = random(2, 5), random(2, 5, 4), random(2, 3, 4)
    found = proposal_losses(Scored(logits, offsets), ProposalTargets(DRAWN, truth), batch=4)
    wrong, apart = 0.0, 0.0
    for n, k in np.argwhere(VALID):
        wrong += cross_entropy(POSITIVE[n, k], logits[n, INDICES[n, k]])
        if POSITIVE[n, k]:
            apart += np.abs(offsets[n, INDICES[n, k]] - truth[n, k]).sum()
    np.testing.assert_allclose(float(found["objectness"]), wrong / 8, rtol=1e-5)
    np.testing.assert_allclose(float(found["proposal_offsets"]), apart / 8, rtol=1e-5)


def test_the_heads_are_as_wrong_as_defined():
    labels = np.where(POSITIVE, [[1, 0, 0], [0, 1, 0]], 2).astype("int32")
    logits, offsets, truth = random(2, 3, 3), random(2, 3, 2, 4), random(2, 3, 4)
    targets = BoxTargets(random(2, 3, 4), DRAWN, 0 * INDICES, labels, truth)
    found = box_losses({"logits": logits, "offsets": offsets}, targets)
    wrong, apart = 0.0, 0.0
    for n, k in np.argwhere(VALID):
        shares = np.exp(np.float64(logits[n, k]))
        wrong -= np.log(shares[labels[n, k]] / shares.sum())
        if POSITIVE[n, k]:
            apart += np.abs(offsets[n, k, labels[n, k]] - truth[n, k]).sum()
    np.testing.assert_allclose(float(found["classes"]), wrong / VALID.sum(), rtol=1e-5)
    np.testing.assert_allclose(float(found["box_offsets"]), apart / VALID.sum(), rtol=1e-5)

    drawn, masks = random(2, 3, 2, 4, 4), RNG.integers(0, 2, (2, 3, 4, 4)).astype("float32")
    loss = mask_loss(of_class(drawn, targets), masks, POSITIVE)["masks"]
    means = [
        np.mean([cross_entropy(t, x) for t, x in zip(masks[n, k].flat, own.flat, strict=True)])
        for n, k in np.argwhere(POSITIVE)
        for own in [drawn[n, k, labels[n, k]]]
    ]
    np.testing.assert_allclose(float(loss), np.mean(means), rtol=1e-5)


def test_a_mask_is_cut_out_where_another_box_lies():
    mask = np.zeros((1, 1, 56, 56), "float32")
    mask[..., :28, 14:] = 1
    objects = Objects(
        np.array([[[10, 20, 38, 48]]], "float32"), np.zeros((1, 1)), mask, np.ones((1, 1), bool)
    )
    boxes = np.array([[[10, 20, 38, 48], [17, 20, 45, 34], [0, 0, 9, 9]]], "float32")
    found = ops.convert_to_numpy(mask_targets(boxes, np.zeros((1, 3), "int32"), objects, 28))[0]
    whole = np.zeros((28, 28))
    whole[:14, 7:] = 1
    np.testing.assert_array_equal(found[0], whole)
    # Seven pixels to the right, the upper half only; beyond the object there is none of it.
    right = np.zeros((28, 28))
    right[:, :21] = 1
    np.testing.assert_array_equal(found[1], right)
    assert not found[2].any()
