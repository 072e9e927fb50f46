"""Make what predictive text needs, once, into the cache of the examples:

words.npz       PocketSphinx's English trigram, pruned to what a device needs
letters.edge    textgenrnn's network, converted and proven
alphabet.json   the number of each letter

python -m examples.predictive_text.make          # prints the folder

Half of the time TensorFlow is being imported, by each process of the conversion; the trigram is
pruned meanwhile.
"""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge_sdk.demos.processes import edge
from edge_sdk.files import whole_file
from examples.assets import asset, cache
from examples.predictive_text.language_model import pruned, read_trigram
from examples.shell import from_shell

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
    makers = {"words.npz": make_words, "letters.edge": make_letters}
    with ThreadPoolExecutor() as pool:
        todo = {name: make for name, make in makers.items() if not (folder / name).exists()}
        if todo:
            print(
                "Making the models of predictive text, once: the trigram is pruned, the network "
                "of letters converted and proven. This takes half a minute …",
                file=sys.stderr,
                flush=True,
            )
        for made in [pool.submit(make, folder / name) for name, make in todo.items()]:
            made.result()
    return folder


def make_words(path: Path) -> None:
    """Prune PocketSphinx's trigram into a file."""
    from pocketsphinx import get_model_path

    full = read_trigram(Path(get_model_path("en-us/en-us.lm.bin")))
    with whole_file(path) as file:
        np.savez_compressed(file, **pruned(full, VOCABULARY, PAIRS, TRIPLES))


def make_letters(path: Path) -> None:
    """Convert the network, as a person would type it, and keep TensorFlow's log off the terminal.

    Raises:
        UnavailableError: it did not convert; the log is in the message.
    """
    unfinished = path.with_name("letters-1.0.0.edge")
    here = "examples.predictive_text.letters"
    words = ["convert", f"{here}:model", "-o", unfinished, "--evaluate", f"{here}:samples"]
    words += ["--name", "letters", "--version", "1.0.0"]
    words += ["--formats", "tflite,onnx", "--recipe", "fp32"]
    edge(*words)
    shutil.move(unfinished, path)


def main() -> None:
    """Print the folder."""
    print(models())


if __name__ == "__main__":
    from_shell(main)
