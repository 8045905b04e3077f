"""Draw the pictures of examples/images that no camera took: numpy and Pillow, no network, one seed.

    python examples/draw_images.py                     # writes examples/images/drawn_*.png
    python examples/draw_images.py --seed 7 --out tmp  # others, elsewhere

No generative model made them, so they are no measure of a detector of such models; they are there
to be looked at, and may be redistributed.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
SIDE = 256


def portrait(rng: np.random.Generator, side: int = SIDE) -> Picture:
    """Render a head and shoulders of smooth shading before a gradient."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    top, bottom = rng.uniform(60, 220, (2, 3))
    picture = top + (bottom - top) * ((y + 1) / 2)[..., None]
    skin = np.array([150.0, 110, 80]) + rng.uniform() * np.array([85, 90, 95])
    cloth, hair = rng.uniform(20, 180, (2, 3))
    light = rng.uniform(-0.5, 0.5)

    def paint(cx: float, cy: float, rx: float, ry: float, colour: NDArray[np.float64]) -> None:
        nonlocal picture
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
        edge = np.clip((1 - inside) * 12, 0, 1)[..., None]
        shade = (0.75 + 0.25 * np.sqrt(np.clip(1 - inside, 0, 1)) + 0.15 * light * x)[..., None]
        picture = picture * (1 - edge) + colour * shade * edge

    paint(0, 1.15, 0.85, 0.6, cloth)
    paint(0, 0.5, 0.17, 0.35, skin * 0.9)
    paint(0, -0.2, 0.47, 0.6, hair)
    paint(0, -0.05, 0.4, 0.52, skin)
    for eye in (-0.16, 0.16):
        paint(eye, -0.1, 0.075, 0.04, np.full(3, 245.0))
        paint(eye, -0.1, 0.03, 0.035, rng.uniform(20, 110, 3))
    paint(0, 0.08, 0.045, 0.1, skin * 0.92)
    paint(0, 0.25, 0.13, 0.035, np.array([170.0, 80.0, 85.0]))
    return _as_bytes(picture)


def landscape(rng: np.random.Generator, side: int = SIDE) -> Picture:
    """Render ridges and clouds of fractal noise."""
    sky = np.array([120.0, 165.0, 220.0]) + 80 * _fractal(rng, side, 1.8)[..., None]
    picture = sky
    rows = np.arange(side)[:, None]
    for depth in range(4):
        ridge = _fractal(rng, side, 2.2)[0]
        line = side * (0.4 + 0.15 * depth + 0.25 * (ridge - 0.5))
        texture = 0.7 + 0.6 * _fractal(rng, side, 1.2)
        colour = np.array([70.0, 105.0, 70.0]) + (3 - depth) * np.array([15.0, 18.0, 30.0])
        picture = np.where((rows > line)[..., None], colour * texture[..., None], picture)
    return _as_bytes(picture)


def upsampled(rng: np.random.Generator, side: int = SIDE) -> Picture:
    """Grow noise through transposed convolutions, which leave the checkerboard of a generator.

    A stride of 2 and a kernel of 3 overlap unevenly (Odena et al. 2016, "Deconvolution and
    checkerboard artifacts").
    """
    kernel = np.array([0.5, 1.0, 0.5])
    x = rng.normal(size=(side // 32, side // 32, 3))
    for _ in range(5):
        x = np.tanh(1.5 * _transposed(_transposed(x, kernel, 0), kernel, 1))
        x = x + 0.05 * rng.normal(size=x.shape)
    return _as_bytes(127.5 + 90 * x)


def plaid(rng: np.random.Generator, side: int = SIDE) -> Picture:
    """Draw crossing stripes with noise on them."""
    y, x = np.mgrid[:side, :side]
    picture = np.full((side, side, 3), 128.0)
    for _ in range(6):
        wave = np.sin(2 * np.pi * (x * rng.normal(0, 0.04) + y * rng.normal(0, 0.04)))
        picture += rng.uniform(-30, 30, 3) * np.sign(wave)[..., None]
    return _as_bytes(picture + rng.normal(0, 4, picture.shape))


PAINTERS: dict[str, Callable[[np.random.Generator, int], Picture]] = {
    "portrait": portrait,
    "landscape": landscape,
    "upsampled": upsampled,
    "plaid": plaid,
}


def draw(seed: int) -> dict[str, Picture]:
    """Return one picture of each painter by its name, of shape (256, 256, 3), uint8."""
    return {
        name: painter(np.random.default_rng([seed, i]), SIDE)
        for i, (name, painter) in enumerate(PAINTERS.items())
    }


def _fractal(rng: np.random.Generator, side: int, power: float) -> NDArray[np.float64]:
    """Noise with a spectrum of 1 / f^power, scaled to [0, 1]."""
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) * frequency**-power
    noise = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray((noise - noise.min()) / np.ptp(noise))


def _transposed(
    x: NDArray[np.float64], kernel: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Double one axis: zeros between samples, then the kernel, with wrapped edges."""
    shape = list(x.shape)
    shape[axis] *= 2
    spread = np.zeros(shape)
    spread[(slice(None),) * axis + (slice(None, None, 2),)] = x
    return np.asarray(sum(k * np.roll(spread, i - 1, axis) for i, k in enumerate(kernel)))


def _as_bytes(picture: NDArray[np.float64]) -> Picture:
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of examples/images.")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, picture in draw(options.seed).items():
        path = options.out / f"drawn_{name}.png"
        Image.fromarray(picture).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
