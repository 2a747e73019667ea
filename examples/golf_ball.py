"""Draws golf-ball.png, the sample picture: a golf ball on a mown lawn.

The picture is computed, so it is nobody's photograph and can be drawn again:

    python examples/golf_ball.py

The ball is a ray-cast sphere with 362 dimples, one at each vertex of a geodesic grid (hexagons, and
twelve pentagons). The lawn is some thousands of blades drawn from far to near, blurred with their
distance from the plane that is in focus.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 320, 256
SCALE = 3  # everything is drawn three times as large, then reduced
HORIZON = 0.23  # heights of the horizon and of the point where the ball touches the lawn
CONTACT = 0.80
CENTRE = np.array([0.53, 0.565])  # of the ball, as fractions of width and height
RADIUS = 0.265  # of the picture's height
SUN = np.array([-0.48, 0.68, 0.55]) / np.linalg.norm([-0.48, 0.68, 0.55])


def geodesic_grid(frequency: int) -> np.ndarray:
    """Return the ``10 * frequency**2 + 2`` unit vectors of a geodesic grid on the sphere.

    Args:
        frequency: How many parts each edge of the icosahedron is cut into.

    Returns:
        Points, ``(points, 3)``.
    """
    golden = (1 + 5**0.5) / 2
    corners = np.array([(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)])
    points = set()
    for face in combinations(range(12), 3):
        p = corners[list(face)]
        if max(np.linalg.norm(p[i] - p[j]) for i, j in combinations(range(3), 2)) > 2.01:
            continue  # not three neighbours
        for i in range(frequency + 1):
            for j in range(frequency + 1 - i):
                weights = np.array([i, j, frequency - i - j]) / frequency
                point = weights @ p
                points.add(tuple(np.round(point / np.linalg.norm(point), 9)))
    return np.array(sorted(points))


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Return the matrix that turns by ``x``, then ``y``, then ``z`` radians about the axes."""
    matrix = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[[i, i, j, j], [i, j, i, j]] = (
            np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle),
        )  # fmt: skip
        matrix = turn @ matrix
    return matrix


def ball() -> Image.Image:
    """Draw the ball alone, RGBA, on a square that it fills."""
    side = round(2 * RADIUS * HEIGHT * SCALE)
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    radius2 = x**2 + y**2
    normal = np.stack([x, y, np.sqrt(np.clip(1 - radius2, 0, None))], axis=-1)

    # A dimple is a shallow spherical dish: inside its rim the normal leans towards the middle.
    dimples = geodesic_grid(6) @ rotation(0.35, 0.5, 0.2).T
    nearest = np.argmax(normal @ dimples.T, axis=-1)
    middle = dimples[nearest]
    offset = middle - normal
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    rim = 0.088
    lean = np.where(distance < rim, 3.4, 3.4 * np.clip(1.18 - distance / rim, 0, None) / 0.18)
    dished = normal + lean * offset * (distance < 1.18 * rim)
    dished /= np.linalg.norm(dished, axis=-1, keepdims=True)

    sun = np.clip(dished @ SUN, 0, None)
    sky = 0.5 + 0.5 * dished[..., 1]
    lawn = np.clip(-dished[..., 1], 0, None)
    gleam = np.clip(2 * sun * dished[..., 2] - SUN[2], 0, None) ** 38
    depth = np.clip((1 - distance[..., 0] / rim), 0, 1)
    dark = 1 - 0.10 * depth - 0.25 * np.clip(-y - 0.55, 0, 1)  # in the dish, and near the ground
    colour = (
        0.74 * sun[..., None] * np.array([1.0, 0.985, 0.95])
        + 0.34 * sky[..., None] * np.array([0.90, 0.96, 1.06])
        + 0.24 * lawn[..., None] * np.array([0.55, 0.85, 0.30])
    ) * dark[..., None] + 0.22 * gleam[..., None]
    rgb = 255 * (1 - np.exp(-2.4 * colour))  # highlights roll off as on film
    edge = np.clip((1 - np.sqrt(radius2)) * side / 4, 0, 1)
    pixels = np.concatenate([rgb, 255 * edge[..., None]], axis=-1)
    return Image.fromarray(np.round(pixels).astype(np.uint8))


def blurred_noise(rng: np.random.Generator, cells: tuple[int, int], size: tuple[int, int]):
    """Return smooth noise of mean 0 and deviation about 1, ``(height, width)``."""
    small = rng.standard_normal((cells[1], cells[0])).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


def background(rng: np.random.Generator) -> Image.Image:
    """Draw what is far away, out of focus: sky, a line of trees, the ground under the lawn."""
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    y = np.linspace(0, 1, height)[:, None, None]
    far, near = np.array([104, 146, 58.0]), np.array([58, 98, 26.0])
    ground = far + (near - far) * np.clip((y - HORIZON) / 0.5, 0, 1)
    rgb = np.where(y < HORIZON, np.array([196, 215, 226.0]), ground).repeat(width, axis=1)
    crown = HORIZON * (0.42 + 0.16 * blurred_noise(rng, (9, 1), (width, 1))[0])
    trees = (y[..., 0] > crown) & (y[..., 0] < HORIZON + 0.01)
    leaf = blurred_noise(rng, (60, 46), (width, height))[..., None]
    rgb[trees] = (np.array([48, 78, 38.0]) + leaf * np.array([17, 22, 11.0]))[trees]
    picture = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(7 * SCALE))


def lawn(picture: Image.Image, rng: np.random.Generator, strip: np.ndarray) -> Image.Image:
    """Draw the blades rooted between two heights, far ones first, as blurred as they are far."""
    count = round(26000 * (strip[1] - strip[0]))
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    layer = Image.new("RGBA", (width, height), (74, 116, 34, 0))  # blur mixes this colour in
    draw = ImageDraw.Draw(layer)
    roots = np.sort(rng.uniform(*strip, count))
    for root in roots:
        near = (root - HORIZON) / (1 - HORIZON)  # 0 at the horizon, 1 at the lower edge
        length = height * (0.012 + 0.088 * near) * rng.uniform(0.6, 1.25)
        half = max(0.5, SCALE * 1.15 * near * rng.uniform(0.6, 1.2))
        x, y = rng.uniform(-0.02, 1.02) * width, root * height
        lean = rng.normal(0.10, 0.38) * length
        bend = (x + 0.35 * lean, y - 0.55 * length)
        tip = (x + lean, y - length * rng.uniform(0.8, 1.0))
        light = rng.normal(1.0, 0.20) * (1.06 - 0.12 * near)
        hue = rng.normal(0, 1)
        base = np.array([92 + 14 * hue, 140 + 4 * hue, 40 - 4 * hue])
        if rng.random() < 0.06:
            base = np.array([168, 160, 92])  # dry
        fill = tuple(np.clip(base * light, 0, 255).astype(int))
        dark = tuple(np.clip(base * light * 0.70, 0, 255).astype(int))
        draw.polygon(
            [(x - half, y), (bend[0] - half * 0.8, bend[1]), (bend[0] + half * 0.8, bend[1]),
             (x + half, y)],
            fill=dark,
        )  # fmt: skip
        draw.polygon(
            [(bend[0] - half * 0.8, bend[1]), tip, (bend[0] + half * 0.8, bend[1])], fill=fill
        )
    blur = 5.2 * max(0.0, abs(CONTACT - 0.03 - float(strip.mean())) - 0.05)
    layer = layer.filter(ImageFilter.GaussianBlur(blur * SCALE))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def shadow(picture: Image.Image) -> Image.Image:
    """Darken the lawn behind the ball, away from the sun, and, more, right under it."""
    width, height = picture.size
    mask = Image.new("L", picture.size)
    draw = ImageDraw.Draw(mask)
    x, y, r = CENTRE[0] * width, CONTACT * height, RADIUS * height
    draw.ellipse((x - 0.2 * r, y - 0.62 * r, x + 2.1 * r, y - 0.10 * r), fill=150)
    mask = mask.filter(ImageFilter.GaussianBlur(0.10 * r))
    contact = Image.new("L", picture.size)
    ImageDraw.Draw(contact).ellipse(
        (x - 0.62 * r, y - 0.2 * r, x + 0.72 * r, y + 0.1 * r), fill=190
    )
    mask = ImageChops.lighter(mask, contact.filter(ImageFilter.GaussianBlur(0.07 * r)))
    return Image.composite(Image.new("RGB", picture.size, (16, 32, 8)), picture, mask)


def golf_ball(seed: int = 4) -> Image.Image:
    """Draw the whole picture.

    Args:
        seed: Draws another lawn; the ball stays the same.

    Returns:
        An RGB picture of 320 x 256 pixels.
    """
    rng = np.random.default_rng(seed)
    picture = background(rng)
    width, height = picture.size
    for k in range(11):
        picture = lawn(
            picture, rng, HORIZON + (CONTACT - HORIZON) * np.array([k - 0.4, k + 1]) / 11
        )
    picture = shadow(picture)
    sphere = ball()
    corner = np.round(CENTRE * (width, height) - np.array(sphere.size) / 2).astype(int)
    picture.paste(sphere, tuple(corner.tolist()), sphere)
    for k in range(5):
        picture = lawn(picture, rng, CONTACT + np.array([k - 0.4, k + 1]) * 0.055)
    picture = picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    pixels = np.asarray(picture).astype(np.float32)
    pixels += rng.normal(0, 2.2, pixels.shape)  # the camera's noise
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("golf-ball.png")
    golf_ball().save(place, optimize=True)
    print(place)
