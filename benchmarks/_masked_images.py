"""Images with masks for the benchmark of segmentation: composed ones with exact masks, and real ones."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
COINS_DARK, COINS_BRIGHT = 30, 150  # grey values that are certainly background, and certainly coin
TILE, MOSAIC = 48, 64


def compose_digits_on_photographs(folder: Path, count: int) -> Arrays:
    """Return digits of mnist painted on photographs of cifar10: images (n, 32, 32, 3), masks (n, 32, 32) of 0 and 1.

    Composed, not photographed. Each digit has one random colour, whose grey value differs from that of the photograph
    behind it in either direction, so that no threshold fits all. No digit and no photograph is used twice.

    Args:
        folder: Folder with ``mnist/data.npz`` and ``cifar10_12k/data.npz``.
        count: Number of images; a fifth is the test split.
    """
    generator = np.random.default_rng(0)
    with np.load(folder / "mnist" / "data.npz") as mnist, np.load(folder / "cifar10_12k" / "data.npz") as cifar:
        digits = mnist["x_train"][generator.permutation(len(mnist["x_train"]))[:count]]
        photographs = cifar["x_train"][generator.permutation(len(cifar["x_train"]))[:count]]
    images, masks = [], []
    for digit, photograph in zip(digits.reshape(-1, 28, 28), photographs.reshape(-1, 32, 32, 3), strict=True):
        top, left = generator.integers(0, 5, 2)
        opacity = np.zeros((32, 32, 1))
        opacity[top : top + 28, left : left + 28, 0] = digit / 255
        images.append(opacity * generator.integers(0, 256, 3) + (1 - opacity) * photograph)
        masks.append(opacity[..., 0] > 0.5)
    return _split(np.array(images).round().astype(np.uint8), np.array(masks).astype(np.uint8), (0.64, 0.8))


def compose_textures(count: int) -> Arrays:
    """Return mosaics of the textures brick, grass and gravel of scikit-image, with the texture as the class.

    Textures are photographs, the mosaics of them are composed: images (n, 64, 64, 1), masks (n, 64, 64) of 0 to 2. The
    three splits are from separate parts of the photographs, each brought to the same mean and contrast.

    Args:
        count: Number of images; a fifth is the test split.
    """
    import skimage.data
    from scipy import ndimage

    generator = np.random.default_rng(0)
    textures = [ndimage.zoom(getattr(skimage.data, name)().astype(float), 0.5) for name in ("brick", "grass", "gravel")]
    textures = [128 + 40 * (texture - texture.mean()) / texture.std() for texture in textures]
    width = textures[0].shape[1]
    images, masks = [], []
    for index in range(count):
        low, high = next((a, b) for a, b, end in ((0, 0.5, 0.64), (0.5, 0.7, 0.8), (0.7, 1, 1)) if index < end * count)
        left = generator.integers(int(low * width), max(int(high * width) - MOSAIC, int(low * width) + 1), 3)
        top = generator.integers(0, textures[0].shape[0] - MOSAIC + 1, 3)
        parts = [
            texture[t : t + MOSAIC, edge : edge + MOSAIC] for texture, t, edge in zip(textures, top, left, strict=True)
        ]
        fields = ndimage.gaussian_filter(generator.normal(size=(3, MOSAIC, MOSAIC)), (0, 10, 10))
        mask = fields.argmax(axis=0)
        images.append(np.choose(mask, parts))
        masks.append(mask)
    values = np.clip(np.array(images), 0, 255).astype(np.uint8)[..., None]
    return _split(values, np.array(masks).astype(np.uint8), (0.64, 0.8))


def cut_coins() -> Arrays:
    """Return tiles (n, 50, 48, 1) of the photograph of coins of scikit-image, and masks of 0 and 1.

    The photograph has no mask by hand: the masks are those of the package's tutorial "Comparing edge-based and
    region-based segmentation", a watershed on the edges from markers that are certainly coin or background, with holes
    filled. Five of eight columns of tiles are for training, one for validation, the last two for the test.
    """
    import skimage.data
    from scipy import ndimage
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    image = skimage.data.coins()
    markers = np.where(image < COINS_DARK, 1, np.where(image > COINS_BRIGHT, 2, 0))
    mask = ndimage.binary_fill_holes(watershed(sobel(image), markers) == 2).astype(np.uint8)
    height = len(image) // 6
    places = [(height * row, TILE * column) for column in range(8) for row in range(6)]
    images, masks = (
        np.array([values[top : top + height, left : left + TILE] for top, left in places]) for values in (image, mask)
    )
    return _split(images[..., None], masks, (5 / 8, 6 / 8))


def cut_nuclei() -> Arrays:
    """Return tiles (n, 64, 64, 1) of a fluorescence microscope image of nuclei, and masks of 0 to 2.

    The image comes with the package stardist, from the 2018 Data Science Bowl (Caicedo et al. 2019, "Nucleus
    segmentation across imaging experiments", Nature Methods 16). Experts outlined each nucleus; here 1 is the inside of
    a nucleus and 2 its boundary, by ``skimage.segmentation.find_boundaries``, so that touching nuclei stay apart. Five
    of eight columns of tiles are for training, one for validation, the last two for the test.
    """
    from PIL import Image
    from skimage.segmentation import find_boundaries

    package = find_spec("stardist")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "data" / "images"
    with Image.open(folder / "img2d.tif") as image, Image.open(folder / "mask2d.tif") as mask:
        values, objects = np.asarray(image).astype(np.uint8), np.asarray(mask)
    classes = np.where(find_boundaries(objects, mode="inner"), 2, objects > 0).astype(np.uint8)
    places = [(MOSAIC * row, MOSAIC * column) for column in range(8) for row in range(8)]
    images, masks = (
        np.array([array[top : top + MOSAIC, left : left + MOSAIC] for top, left in places])
        for array in (values, classes)
    )
    return _split(images[..., None], masks, (5 / 8, 6 / 8))


def _split(images: np.ndarray, masks: np.ndarray, ends: tuple[float, float]) -> Arrays:
    """Return the arrays of an ``.npz`` file with a training, a validation and a test split, in this order."""
    places = [0, *(round(end * len(images)) for end in ends), len(images)]
    parts = zip(("train", "val", "test"), places[:-1], places[1:], strict=True)
    return {
        f"{axis}_{name}": values[start:end]
        for name, start, end in parts
        for axis, values in (("x", images), ("y", masks))
    }
