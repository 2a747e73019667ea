"""The sample picture can be drawn again."""

import importlib.util

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def golf_ball(root):
    spec = importlib.util.spec_from_file_location("golf_ball", root / "examples/golf_ball.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("frequency", [1, 2, 6])
def test_the_grid_has_its_number_of_points_on_the_sphere(golf_ball, frequency):
    points = golf_ball.geodesic_grid(frequency)
    assert points.shape == (10 * frequency**2 + 2, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-8)


def test_a_rotation_keeps_lengths(golf_ball):
    turn = golf_ball.rotation(0.3, -1.2, 2.0)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)


def test_the_stored_picture_is_the_one_the_script_draws(golf_ball, root):
    stored = np.asarray(Image.open(root / "examples/golf-ball.png")).astype(int)
    drawn = np.asarray(golf_ball.golf_ball()).astype(int)
    assert drawn.shape == stored.shape == (256, 320, 3)
    # Another Pillow may blur or resize with another rounding, not draw another lawn.
    assert np.abs(drawn - stored).mean() < 1
