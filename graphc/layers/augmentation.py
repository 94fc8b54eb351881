"""Layers that change images at random while training: the functions of `gx.data.augmentation`.

Images are [batch, height, width, channels]. State: the key of the random numbers, which moves on with every training step.
"""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.layer import Layer


class _Random(Layer):
    """While training what `augmented` gives, else `plain`."""

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        x = self.floats(x)
        self.random_state()
        return self.augmented(self.key(), x) if training else self.plain(x)

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        raise NotImplementedError

    def plain(self, x: Tensor) -> Tensor:
        return x


class RandomFlip(_Random):
    """Images mirrored with probability 1/2. mode: "horizontal", "vertical", or "horizontal_and_vertical"."""

    def __init__(self, mode: str = "horizontal_and_vertical", **options: Any) -> None:
        super().__init__(**options)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise gx.errors.InputError(
                f"RandomFlip: mode is {mode!r}", where=gx.errors.caller(),
                hint='"horizontal", "vertical", "horizontal_and_vertical"',
            )  # fmt: skip
        self.mode = mode

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_flip(key, x, "horizontal" in self.mode, "vertical" in self.mode)


class RandomCrop(_Random):
    """A part of each image, of these sides, at a random place; the middle where it is not training.

    padding: how many zeros are put around the images before: RandomCrop(32, 32, padding=4) moves images of 32 x 32.
    """

    def __init__(self, height: int, width: int, padding: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.height, self.width, self.padding = height, width, padding

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_crop(key, x, self.height, self.width, self.padding)

    def plain(self, x: Tensor) -> Tensor:
        p = self.padding
        padded = gx.pad(x, ((0, 0), (p, p), (p, p), (0, 0))) if p else x
        top, left = (padded.shape[1] - self.height) // 2, (padded.shape[2] - self.width) // 2
        return padded[:, top : top + self.height, left : left + self.width]


class RandomTranslation(_Random):
    """Images moved by up to these fractions of their sides; zeros move in."""

    def __init__(self, height_factor: float, width_factor: float, fill_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.height_factor, self.width_factor, self.fill_value = height_factor, width_factor, fill_value

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_translation(key, x, self.height_factor, self.width_factor, self.fill_value)


class RandomRotation(_Random):
    """Images turned about their middle by up to `factor` of a full turn, either way."""

    def __init__(self, factor: float, fill_value: float = 0.0, method: str = "linear", **options: Any) -> None:
        super().__init__(**options)
        self.factor, self.fill_value, self.method = factor, fill_value, method

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_rotation(key, x, self.factor, self.fill_value, self.method)


class RandomZoom(RandomRotation):
    """Images made larger or smaller about their middle: their sides times 1 - factor to 1 + factor."""

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_zoom(key, x, self.factor, self.fill_value, self.method)


class RandomBrightness(_Random):
    """To each image a number between -factor and factor is added."""

    def __init__(self, factor: float, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_brightness(key, x, self.factor)


class RandomContrast(RandomBrightness):
    """Each image's distance from its mean times a number between 1 - factor and 1 + factor."""

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.random_contrast(key, x, self.factor)


class Cutout(_Random):
    """A rectangle of each image set to `fill_value`; width: by default the height."""

    def __init__(self, height: int, width: int | None = None, fill_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.height, self.width, self.fill_value = height, width, fill_value

    def augmented(self, key: Tensor, x: Tensor) -> Tensor:
        return gx.data.augmentation.cutout(key, x, self.height, self.width, self.fill_value)
