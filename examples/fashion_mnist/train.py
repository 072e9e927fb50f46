"""The three classifiers by name: found in the cache, or trained once and kept there.

    from examples.fashion_mnist.train import classifier
    path = classifier("good")           # a .keras file

    python -m examples.fashion_mnist.train good|better|bad|all

A classifier's file is named after everything that decides what is in it: the code that trains, the
dataset's digests, the versions of the libraries. If any of them changes, it is trained again.
Beside it lies a record with the file's own digest, by which it is checked whenever it is asked for;
a file that was cut off or altered, or has no record, is not used but trained again. Training
happens in other processes and elsewhere (see ``fit``), so that an interrupted one leaves nothing in
the cache.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from converters.engines import engine
from edge_sdk.errors import EdgeError, UnavailableError, UsageError
from edge_sdk.files import disk_error, sha256, sha256_file, whole_file
from examples.assets import AssetError, asset, cache, load_catalogue
from examples.fashion_mnist import dataset, fit

HOME = "fashion-mnist-classifiers"
CODE = Path(__file__).resolve().parent
ROOT = CODE.parents[1]
LIBRARIES = ("keras", "numpy", "tensorflow")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside a classifier's file.

    Attributes:
        sha256: digest of the file.
        accuracy: share of the 10,000 test pictures that it answers rightly, when it was trained.
        cpu_seconds: what the training took.
    """

    sha256: str
    accuracy: float
    cpu_seconds: float


@dataclass(frozen=True)
class Trained:
    """A classifier that is there, whole and up to date."""

    path: Path
    record: Record


def classifier(name: str) -> Path:
    """Return the ``.keras`` file of one classifier, training it if it is not cached.

    Args:
        name: ``good``, ``better`` or ``bad``.

    Raises:
        UsageError: there is no such classifier, or the cache cannot be written.
        AssetError: the dataset is not on this machine and cannot be fetched.
        UnavailableError: TensorFlow is not installed, a training failed, or the disk is full.
    """
    return classifiers([name])[name].path


def classifiers(names: Iterable[str] = tuple(fit.TRAININGS)) -> dict[str, Trained]:
    """Return several classifiers, training those that are not cached side by side.

    Raises:
        UsageError, AssetError, UnavailableError: see ``classifier``.
    """
    wanted = dict.fromkeys(names)
    for name in wanted:
        if name not in fit.TRAININGS:
            raise UsageError(
                f"There is no classifier {name!r}.", f"Choose from {', '.join(fit.TRAININGS)}."
            )
    missing = sorted(name for name in wanted if cached(name) is None)
    with ExitStack() as locks:
        for name in missing:
            locks.enter_context(_alone(name))
        # Another process may have trained some while we waited for our turn.
        found = {name: cached(name) for name in wanted}
        trained = _train([name for name, there in found.items() if there is None])
    return {name: there or trained[name] for name, there in found.items()}


def cached(name: str) -> Trained | None:
    """Return a classifier if it is in the cache, whole and up to date."""
    path = path_of(name)
    try:
        record = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Record)
        whole = sha256_file(path) == record.sha256
    except (OSError, msgspec.MsgspecError):
        return None  # not there, or not to be trusted: either way it has to be trained
    return Trained(path, record) if whole else None


def path_of(name: str) -> Path:
    """Return where a classifier is kept, whether it is there or not.

    Raises:
        UnavailableError: a library that trains it is not installed.
    """
    parts = [name, *sorted(load_catalogue()["fashion-mnist"].digests.values())]
    parts += [sha256_file(CODE / f"{module}.py") for module in ("dataset", "fit", "model")]
    try:
        parts += [f"{library} {version(library)}" for library in LIBRARIES]
    except PackageNotFoundError as error:
        raise UnavailableError(
            f"Training a classifier needs {error.name}, which is not installed.",
            "pip install 'edgeloop[convert]'",
        ) from error
    digest = sha256("\n".join(parts).encode())
    return cache() / HOME / f"{name}-{fit.TRAININGS[name].version}-{digest[:12]}.keras"


def _train(names: list[str]) -> dict[str, Trained]:
    """Train several classifiers side by side, and keep each that succeeds."""
    if not names:
        return {}
    asset("fashion-mnist")
    environment = {**os.environ, "EDGELOOP_ASSETS": str(cache().absolute())}
    children: dict[str, subprocess.Popen[bytes]] = {}
    trained: dict[str, Trained] = {}
    with tempfile.TemporaryDirectory(prefix="edgeloop-") as scratch:
        try:
            for name in names:
                folder = Path(scratch) / name
                folder.mkdir()
                children[name] = subprocess.Popen(
                    [sys.executable, "-m", fit.__name__, name, str(folder)],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.PIPE,  # its end tells the child that we are gone
                    stdout=subprocess.DEVNULL,
                )
            for name, child in children.items():
                if code := child.wait():
                    raise UnavailableError(
                        f"The training of {name} ended with exit code {code}.",
                        "What it said is above; mend that and run: "
                        f"python -m examples.fashion_mnist.train {name}",
                    )
                trained[name] = _keep(name, Path(scratch) / name)
        finally:
            for child in children.values():
                child.kill()
                child.communicate()
    return trained


def _keep(name: str, folder: Path) -> Trained:
    """Move what a training left into the cache, the record last: without it the file is nothing."""
    content = (folder / fit.MODEL).read_bytes()
    report = msgspec.json.decode((folder / fit.REPORT).read_bytes())
    record = Record(sha256=sha256(content), **report)
    path = path_of(name)
    with whole_file(path) as file:
        file.write(content)
    with whole_file(path.with_suffix(".json")) as file:
        file.write(msgspec.json.encode(record))
    return Trained(path, record)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep other processes from training the same classifier; the system ends it if we end."""
    path = cache() / HOME / f".{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise disk_error(error, path) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def measure(path: Path) -> float:
    """Return the share of the 10,000 test pictures that a classifier's file answers rightly."""
    network = engine("keras").models.load_model(path, compile=False)
    return fit.accuracy(network, dataset.load("test"))


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.fashion_mnist.train",
        description="Train classifiers, or find them in the cache; prints accuracy and path.",
    )
    parser.add_argument("name", choices=[*fit.TRAININGS, "all"], nargs="?", default="all")
    parser.add_argument(
        "--accuracy", action="store_true", help="measure it again instead of reading the record"
    )
    parser.add_argument("--path", action="store_true", help="print only the path")
    args = parser.parse_args()
    names = list(fit.TRAININGS) if args.name == "all" else [args.name]
    try:
        for name, trained in classifiers(names).items():
            if args.path:
                print(trained.path)
                continue
            share = measure(trained.path) if args.accuracy else trained.record.accuracy
            training = fit.TRAININGS[name]
            print(f"{name:6} {training.version}  {share:.2%}  {trained.path}", flush=True)
    except (EdgeError, AssetError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing half done is left", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
