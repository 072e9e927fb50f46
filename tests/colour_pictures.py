"""A classifier of coloured pictures for which every classic mistake in front of it is fatal.

The pictures are garments of Fashion-MNIST on paper, tinted red or blue, light or dark, and drawn
out to be tall, square or wide: twelve classes. Red and blue swap with the channels, light and dark
move with the normalisation, and the form is in the letterbox's bars alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import engine, quiet
from edge_sdk.processing import ImagePreprocessor
from edge_sdk.spec import Classification, ImageInput, TensorSpec
from examples.fashion_mnist import dataset

SIDE = 24
FORMS = {"tall": (2, 1), "square": (1, 1), "wide": (1, 2)}
TINTS = {"red": (1.0, 0.25, 0.25), "blue": (0.25, 0.25, 1.0)}
SHADES = {"light": 0.8, "dark": 0.35}
LABELS = tuple(f"{form}-{tint}-{shade}" for form in FORMS for tint in TINTS for shade in SHADES)

SPEC = ImageInput(input="image", size=(SIDE, SIDE), resize="letterbox", mean=(127.5,), std=(127.5,))
ANSWER = Classification(output="classes")


def pictures(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """That many, and the class of each."""
    cv2 = engine("cv2")
    rng = np.random.default_rng(seed)
    garments = dataset.load("test").images[..., 0]
    found, classes = [], []
    for number in range(count):
        label = number % len(LABELS)
        form, tint, shade = LABELS[label].split("-")
        high, wide = (SIDE * n for n in FORMS[form])
        garment = cv2.resize(garments[rng.integers(len(garments))], (wide, high)) / 255.0
        brightness = SHADES[shade] * rng.uniform(0.9, 1.1)
        colour = np.array(TINTS[tint]) * brightness
        paper = brightness * rng.uniform(0.9, 1.0)
        picture = paper + garment[..., None] * (colour - paper)
        found.append(np.clip(255 * picture, 0, 255).astype(np.uint8))
        classes.append(label)
    return found, np.array(classes)


def prepared(frames: list[np.ndarray], spec: ImageInput = SPEC) -> np.ndarray:
    """The pictures as the model wants them."""
    shape = (1, SIDE, SIDE, 3) if spec.layout == "hwc" else (1, 3, SIDE, SIDE)
    image = ImagePreprocessor(spec, TensorSpec(name="image", dtype="float32", shape=shape))
    return np.concatenate([image.prepare(frame)[0] for frame in frames])


@cache
def classifier() -> Any:
    """Trained once a process, on one core: a few seconds."""
    keras = engine("keras")
    frames, classes = pictures(1200, seed=1)
    with quiet():
        keras.utils.set_random_seed(3)
        layers = keras.layers
        image = keras.Input((SIDE, SIDE, 3), name="image")
        x = layers.Conv2D(12, 3, strides=2, activation="relu")(image)
        x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
        x = layers.Flatten()(x)
        x = layers.Dense(32, activation="relu")(x)
        scores = layers.Dense(len(LABELS), activation="softmax", name="classes")(x)
        model = keras.Model(image, scores, name="colours")
        model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
        model.fit(prepared(frames), classes, batch_size=48, epochs=6, verbose=0)
    return model


def write_folder(folder: Path, count: int = 300) -> Path:
    """Class folders of pictures that the classifier was not trained on."""
    cv2 = engine("cv2")
    frames, classes = pictures(count, seed=2)
    for number, (frame, label) in enumerate(zip(frames, classes, strict=True)):
        path = folder / LABELS[label] / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), frame[..., ::-1])
    return folder
