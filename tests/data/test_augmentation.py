"""Images changed at random: each change against NumPy's or SciPy's, and the layers that make it while training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage

import graphc as gx
from graphc import layers
from graphc.data import augmentation as change

RNG = np.random.default_rng(8)
IMAGES = RNG.normal(size=(40, 8, 6, 2)).astype("float32")
KEY = gx.random.key(5)

FUNCTIONS: dict[str, Any] = {
    "random_flip": lambda key, x: change.random_flip(key, x, vertical=True),
    "random_crop": lambda key, x: change.random_crop(key, x, 5, 4),
    "random_translation": lambda key, x: change.random_translation(key, x, 0.25, 0.5, fill_value=7.0),
    "random_rotation": lambda key, x: change.random_rotation(key, x, 0.1),
    "random_zoom": lambda key, x: change.random_zoom(key, x, 0.3, method="nearest"),
    "random_noise": lambda key, x: change.random_noise(key, x, 0.1),
    "random_brightness": lambda key, x: change.random_brightness(key, x, 0.5),
    "random_contrast": lambda key, x: change.random_contrast(key, x, 0.5),
    "cutout": lambda key, x: change.cutout(key, x, 3, fill_value=9.0),
}


def run(f: Any, images: Any = IMAGES, key: Any = KEY) -> Any:
    """The result, compiled for a batch of any size, and judged by the interpreter."""
    x = gx.placeholder("x", ("batch", *images.shape[1:]), images.dtype)
    y = f(key, x)
    native = gx.compile([x], y)(images)
    assert np.allclose(native, gx.compile([x], y, backend="interpreter")(images), atol=1e-5)
    return native


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_change_follows_from_its_key_and_differs_between_images(name: str) -> None:
    assert set(FUNCTIONS) == set(change.__all__) - {"affine", "crop_at", "mixup"}
    same = np.repeat(IMAGES[:1], 40, axis=0)
    first = run(FUNCTIONS[name], same)
    assert first.dtype == np.float32
    assert (run(FUNCTIONS[name], same) == first).all()
    assert (run(FUNCTIONS[name], same, gx.random.key(6)) != first).any()
    assert len({image.tobytes() for image in first}) >= 4
    assert run(FUNCTIONS[name], IMAGES[:0]).shape == (0, *first.shape[1:])
    assert run(FUNCTIONS[name], (100 * abs(IMAGES)).astype("uint8")).dtype == np.float32


def test_flips_crops_and_translations_move_elements() -> None:
    for image, found in zip(IMAGES, run(FUNCTIONS["random_flip"]), strict=True):
        assert any((found == image[::a, ::b]).all() for a in (1, -1) for b in (1, -1))
    assert (run(lambda k, x: change.random_flip(k, x, p=1.0)) == IMAGES[:, :, ::-1]).all()
    places = set()
    for image, found in zip(IMAGES, run(FUNCTIONS["random_crop"]), strict=True):
        fits = [(i, j) for i in range(4) for j in range(3) if (found == image[i : i + 5, j : j + 4]).all()]
        assert len(fits) == 1
        places.add(fits[0])
    assert {i for i, _ in places} == {0, 1, 2, 3} and {j for _, j in places} == {0, 1, 2}
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (3, 3), (0, 0)), constant_values=7.0)
    for image, found in zip(padded, run(FUNCTIONS["random_translation"]), strict=True):
        assert any((found == image[i : i + 8, j : j + 6]).all() for i in range(5) for j in range(7))
    rows, columns = np.arange(40) % 4, np.arange(40) % 3
    found = change.crop_at(IMAGES, rows, columns, 5, 4).eval()
    assert all((f == x[i : i + 5, j : j + 4]).all() for f, x, i, j in zip(found, IMAGES, rows, columns, strict=True))


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_linear_maps_are_scipys(method: str) -> None:
    matrices = RNG.normal(size=(40, 2, 2))
    middle = np.array([3.5, 2.5])
    found = change.affine(IMAGES.astype("float64"), matrices, 2.0, method).eval()
    for image, matrix, mine in zip(IMAGES.astype("float64"), matrices, found, strict=True):
        for c in range(2):
            theirs = scipy.ndimage.affine_transform(
                image[..., c], matrix, middle - matrix @ middle, order=int(method == "linear"), cval=2.0, mode="grid-constant"
            )
            assert np.allclose(mine[..., c], theirs, atol=1e-9)
    square = IMAGES[:, :6]
    quarter = change.affine(square, np.broadcast_to([[0.0, 1.0], [-1.0, 0.0]], (40, 2, 2))).eval()
    assert np.allclose(quarter, np.rot90(square, axes=(1, 2)), atol=1e-6)


def test_turns_and_zooms_stay_within_their_bounds() -> None:
    wave = np.zeros((64, 21, 21, 1), "float32")
    wave[:, 10, 10:, 0] = 1.0  # a hand that points to the right
    angles = []
    for image in run(lambda k, x: change.random_rotation(k, x, 0.125), wave)[..., 0]:
        i, j = np.nonzero(image > 0.3)
        angles.append(np.degrees(np.arctan2(-(i - 10.0).mean(), (j - 10.0).mean())))
    assert -47 < min(angles) < -25 and 25 < max(angles) < 47
    box = np.zeros((64, 21, 21, 1), "float32")
    box[:, 5:16, 5:16] = 1.0
    sides = np.sqrt(run(lambda k, x: change.random_zoom(k, x, 0.3), box).sum((1, 2, 3)))
    assert 0.65 < sides.min() / 11 < 0.8 and 1.2 < sides.max() / 11 < 1.35


def test_brightness_contrast_noise_and_cutout() -> None:
    added = run(FUNCTIONS["random_brightness"]) - IMAGES
    assert np.allclose(added, added[:, :1, :1, :1], atol=1e-6) and 0.35 < abs(added).max() <= 0.5
    found = run(FUNCTIONS["random_contrast"])
    mean = IMAGES.mean((1, 2), keepdims=True)
    factor = ((found - mean) / (IMAGES - mean))[:, 0, 0, 0]
    assert np.allclose(found, (IMAGES - mean) * factor[:, None, None, None] + mean, atol=1e-4)
    assert 0.49 < factor.min() < 0.7 and 1.3 < factor.max() < 1.51
    noise = run(FUNCTIONS["random_noise"]) - IMAGES
    assert abs(noise.std() - 0.1) < 0.01 and abs(noise.mean()) < 0.01
    covered = run(FUNCTIONS["cutout"]) == 9.0
    assert (covered[..., 0] == covered[..., 1]).all()
    heights, widths = covered[..., 0].any(2).sum(1), covered[..., 0].any(1).sum(1)
    assert all(sorted(set(sides.tolist())) == [2, 3] for sides in (heights, widths))  # near an edge less
    assert (covered[..., 0].sum((1, 2)) == heights * widths).all()


def test_mixtures_mix_labels_alike() -> None:
    labels = np.eye(40, dtype="float32")
    x, y = gx.placeholder("x", ("batch", 8, 6, 2)), gx.placeholder("y", ("batch", 40))
    f = gx.compile([x, y], list(change.mixup(KEY, x, y, alpha=1.0)))
    mixed, shares = f(IMAGES, labels)
    assert np.allclose(shares.sum(1), 1) and (np.count_nonzero(shares, 1) <= 2).all() and shares.diagonal().std() > 0.1
    assert np.allclose(mixed, np.tensordot(shares, IMAGES, 1), atol=1e-5)
    with pytest.raises(gx.errors.DTypeError, match=r"mixup: labels are i64\[40\], and the mean of two labels is none"):
        change.mixup(KEY, IMAGES, np.arange(40))


# --- layers ------------------------------------------------------------------------------------------------------------

LAYERS = [
    layers.RandomFlip("horizontal"), layers.RandomCrop(8, 6, padding=2), layers.RandomTranslation(0.25, 0.25),
    layers.RandomRotation(0.1), layers.RandomZoom(0.2), layers.RandomBrightness(0.3), layers.RandomContrast(0.3),
    layers.Cutout(3),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.base_name)
def test_layers_change_images_only_while_training(layer: layers.Layer) -> None:
    x = gx.placeholder("x", ("batch", 8, 6, 2))
    assert (gx.compile([x], layer(x))(IMAGES) == IMAGES).all()
    assert layer.count_params() == 2 and not layer.trainable_variables
    y = layer(x, training=True)
    step = gx.compile([x], y, updates=layer.updates)
    first, second = step(IMAGES), step(IMAGES)
    assert first.shape == IMAGES.shape and (first != IMAGES).any() and (first != second).any()
    again = gx.layers.from_data(gx.layers.to_data(layer))
    assert again.get_config() == layer.get_config()


def test_a_crop_is_the_middle_where_nothing_is_trained() -> None:
    assert (layers.RandomCrop(4, 4)(IMAGES).eval() == IMAGES[:, 2:6, 1:5]).all()


def test_a_model_trains_on_changed_images() -> None:
    y = (IMAGES.mean((1, 2, 3)) > 0).astype("int64")
    model = gx.models.Sequential([
        gx.layers.RandomFlip(input_shape=(8, 6, 2)), gx.layers.RandomRotation(0.05), gx.layers.Flatten(), gx.layers.Dense(2),
    ])  # fmt: skip
    model.compile(gx.models.Optimizer(gx.optim.adam, learning_rate=0.02), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(IMAGES, y, epochs=30, verbose=0)
    assert model.evaluate(IMAGES, y)["accuracy"] > 0.85


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: change.cutout(KEY, IMAGES[0], 2), "cutout needs images [batch, height, width, channels], got f32[8, 6, 2]"),
        (lambda: change.random_crop(KEY, IMAGES, 9, 2), "random_crop: a part of 9 x 2 of f32[40, 8, 6, 2]"),
        (lambda: change.affine(IMAGES, np.eye(2)), "affine: the matrix is f32[2, 2]"),
        (lambda: change.affine(IMAGES, np.eye(2)[None], method="cubic"), "affine: method is 'cubic'"),
        (lambda: change.random_zoom(KEY, IMAGES, 1.0), "random_zoom: factor is 1.0"),
        (lambda: change.random_translation(KEY, IMAGES, 2, 0), "random_translation: a factor is 2"),
        (lambda: layers.RandomFlip("both"), "RandomFlip: mode is 'both'"),
    ],
)
def test_wrong_use_is_told(call: Any, message: str) -> None:
    with pytest.raises(gx.GraphError) as found:
        call()
    assert found.value.message == message
