"""Make what predictive text needs, once, into the cache of the examples:

words.npz       PocketSphinx's English trigram, pruned to what a device needs
letters.edge    textgenrnn's network, converted and proven
alphabet.json   the number of each letter

python -m examples.predictive_text.make          # prints the folder
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from edge_sdk.files import whole_file
from examples.assets import asset, cache
from examples.predictive_text.language_model import pruned, read_trigram

VOCABULARY, PAIRS, TRIPLES = 60_000, 2_000_000, 2_000_000
"""Nearly all there is. A third of it, in 20,000 words, saves 1.7 percentage points less."""


def models() -> Path:
    """The folder of the three files, made if they are not there yet."""
    folder = cache() / "predictive-text" / f"{VOCABULARY}-words"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "alphabet.json").exists():
        alphabet = (asset("textgenrnn") / "textgenrnn_vocab.json").read_bytes()
        with whole_file(folder / "alphabet.json") as file:
            file.write(alphabet)
    if not (folder / "words.npz").exists():
        print("pruning the trigram …", file=sys.stderr)
        make_words(folder / "words.npz")
    if not (folder / "letters.edge").exists():
        print("converting the network of letters …", file=sys.stderr)
        make_letters(folder / "letters.edge")
    return folder


def make_words(path: Path) -> None:
    """Prune PocketSphinx's trigram into a file."""
    from pocketsphinx import get_model_path

    full = read_trigram(Path(get_model_path("en-us/en-us.lm.bin")))
    with whole_file(path) as file:
        np.savez_compressed(file, **pruned(full, VOCABULARY, PAIRS, TRIPLES))


def make_letters(path: Path) -> None:
    """Convert the network, as a person would type it."""
    unfinished = path.with_name("letters-1.0.0.edge")
    here = "examples.predictive_text.letters"
    words = ["convert", f"{here}:model", "-o", unfinished, "--evaluate", f"{here}:samples"]
    words += ["--name", "letters", "--version", "1.0.0"]
    words += ["--formats", "tflite,onnx", "--recipe", "fp32"]
    command = [sys.executable, "-m", "edge_sdk", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.move(unfinished, path)


if __name__ == "__main__":
    print(models())
