"""Spoken words are recognised: one word of twenty by an LSTM, and whole phrases, letter by letter, by the CTC loss.

    apt-get install espeak-ng          # what speaks
    python examples/speech.py [FOLDER]

The sounds are made, not recorded: espeak-ng says each word in many voices, three accents and speeds, once, into a file in the
folder. Both networks see log-mel spectra, which the graph computes from the sound, and are tested on voices they never heard.
CTC: Graves et al. 2006, "Connectionist temporal classification" (ICML).
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import LSTM, BatchNorm, Bidirectional, Conv1D, Dense, Dropout, Input

RATE = 11025
WORDS = "zero one two three four five six seven eight nine yes no up down left right on off stop go".split()
WAYS = (("en-us", 140), ("en-gb", 170), ("en-gb-scotland", 200))  # accents, and words a minute
VOICES = (
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Jacky Lee Mario Mike adam antonio aunty belinda benjamin boris "
    "caleb david ed edward f1 f2 f3 gustave iven klatt2 m1 m2 m3 m4 norbert pablo paul quincy robert shelby"
).split()
UNHEARD = "Hugo Michael f4 linda m7 marcelo steph victor".split()
LETTERS = " " + "".join(sorted(set("".join(WORDS))))  # their numbers begin with 1: 0 is CTC's blank


def speak(word: str, voice: str, speed: int) -> Any:
    """What espeak-ng says: int16 at RATE, without the silence before and behind."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-z", "--stdout", word]
    wave = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<i2", offset=44)
    halved = wave[: len(wave) // 2 * 2].reshape(-1, 2).mean(1).astype("int16")
    loud = np.flatnonzero(np.abs(halved) > 200)
    return halved[loud[0] : loud[-1] + 1]


def load(folder: Path) -> Any:
    """All sounds [voice, way, word], made where the folder has them not."""
    file = folder / "sounds.npz"
    if not file.exists():
        if not shutil.which("espeak-ng"):
            raise SystemExit("espeak-ng is not there: apt-get install espeak-ng")
        folder.mkdir(parents=True, exist_ok=True)
        every = itertools.product(VOICES + UNHEARD, WAYS, WORDS)
        made = [speak(word, f"{accent}+{voice}", speed) for voice, (accent, speed), word in every]
        np.savez(file, waves=np.concatenate(made), ends=np.cumsum([len(wave) for wave in made]))
    found = np.load(file)
    sounds = np.empty(len(found["ends"]), object)
    sounds[:] = np.split(found["waves"], found["ends"][:-1])
    return sounds.reshape(-1, len(WAYS), len(WORDS))


def phrases(sounds: Any, count: int, words: int, seconds: float, seed: int) -> tuple[Any, Any]:
    """Phrases of one speaker each: sounds [count, samples] as int16, at any places in a little noise; numbers of words."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 30, (count, int(RATE * seconds))).astype("int16")
    said = rng.integers(sounds.shape[2], size=(count, words))
    for row, numbers in zip(x, said, strict=True):
        waves = sounds[rng.integers(sounds.shape[0]), rng.integers(sounds.shape[1])][numbers]
        spare = len(row) - sum(len(wave) for wave in waves)
        gaps = np.diff(np.sort(rng.integers(spare, size=words)), prepend=0)
        at = 0
        for gap, wave in zip(gaps, waves, strict=True):
            at += gap
            row[at : at + len(wave)] += (wave * rng.uniform(0.2, 0.9)).astype("int16")
            at += len(wave)
    return x, said


def bands(sound: gx.TensorLike) -> gx.Tensor:
    """Sound [..., samples] -> its loudness in 40 bands every 10 ms, in decibels: [..., time, 40]."""
    return gx.data.audio.log_mel(sound, RATE, 256, hop_length=RATE // 100, n_mels=40, method="product")


def network(samples: int, outputs: int, units: int, sequences: bool = False) -> gx.models.Model:
    """Sound [batch, samples] -> logits of words [batch, words], or with sequences of letters, [batch, time, letters]."""
    sound = Input((samples,), dtype="int16")
    x = BatchNorm(momentum=0.9)(bands(sound))
    x = BatchNorm(momentum=0.9)(Conv1D(units, 5, strides=2, activation="relu")(x))
    x = Bidirectional(LSTM(units, return_sequences=sequences))(x)
    return gx.models.Model(sound, Dense(outputs)(Dropout(0.3)(x)))


def train(model: gx.models.Model, x: Any, y: Any, loss: str, epochs: int, **options: Any) -> None:
    rate = gx.optim.schedules.cosine(3e-3, epochs * -(-len(x) // 32))
    model.compile(gx.models.optimizers.Adam(rate), loss, clip_norm=1.0)
    model.fit(x, y, batch_size=32, epochs=epochs, **options)


def read(logits: Any) -> list[str]:
    """The most probable letter of each moment; one of those that follow each other, and no blanks."""
    best = logits.argmax(-1)
    new = np.diff(best, prepend=0) != 0
    return ["".join(LETTERS[n - 1] for n in row[keep] if n) for row, keep in zip(best, new, strict=True)]


def main(folder: str = "out/speech", sounds: Any = None, count: int = 2400, epochs: int = 14, units: int = 64,
         verbose: int = 2) -> Any:  # fmt: skip
    """Train both; the part of words named right, the word error rate of phrases, and a phrase's sound, logits, and text."""
    sounds = load(Path(folder)) if sounds is None else sounds
    heard, unheard = sounds[: -len(UNHEARD)], sounds[-len(UNHEARD) :]
    options = {"epochs": epochs, "verbose": verbose}

    x, y = phrases(heard, count, 1, 1.0, seed=0)
    x_test, y_test = phrases(unheard, count // 4, 1, 1.0, seed=1)
    model = network(x.shape[1], len(WORDS), units)
    train(model, x, y[:, 0], "sparse_categorical_crossentropy", **options)
    right = float((model.predict(x_test).argmax(-1) == y_test[:, 0]).mean())
    print(f"words of voices that were not heard before: {right:.4f} of {len(x_test)} named right")

    x, y = phrases(heard, count, 3, 2.4, seed=2)
    x_test, y_test = phrases(unheard, count // 4, 3, 2.4, seed=3)
    texts, said = ([" ".join(WORDS[n] for n in row) for row in rows] for rows in (y, y_test))
    targets = gx.data.pad_sequences([[1 + LETTERS.index(letter) for letter in text] for text in texts])
    model = network(x.shape[1], 1 + len(LETTERS), units, sequences=True)
    train(model, x, targets, "ctc", **options)
    logits = model.predict(x_test)
    found = read(logits)
    wrong = gx.metrics.WordErrorRate()
    wrong.update(found, said)
    print(f"phrases of three words by these voices: word error rate {wrong.result():.4f}")
    for text, own in zip(said[:5], found, strict=False):
        print(f"   said {text!r}, read {own!r}")
    return right, wrong.result(), (x_test[0], logits[0], said[0], found[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
