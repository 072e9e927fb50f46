"""The flags that say how a model is loaded, for every command that runs one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.runtime import Session
    from edge_sdk.spec import InputLimits


def add_loading(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        "--delegate", metavar="NAME,…", default="", help="delegates in order of preference"
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail unless the model runs where it was asked to"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads for CPU kernels")
    parser.add_argument("--variant", metavar="ID", help="which build of the artifact")
    parser.add_argument("--backend", metavar="NAME", help="which engine")
    parser.add_argument(
        "--preprocess", type=Path, metavar="SPEC.toml", help="pre- and postprocessing, bare model"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="class names, one a line, bare model"
    )


def load_model(args: argparse.Namespace, *, guard: InputLimits | bool = False) -> Session:
    """The session of ``args.model`` that they ask for. Raises as ``edge_sdk.load``.

    Args:
        args: with the flags of ``add_loading``.
        guard: see ``edge_sdk.load``; a command that asks on purpose has none.
    """
    import edge_sdk
    from edge_sdk.processing import read_labels, read_processing
    from edge_sdk.runtime.model_file import is_artifact

    if is_artifact(args.model) and (args.preprocess or args.labels):
        flag = "--preprocess" if args.preprocess else "--labels"
        raise UsageError(f"{args.model} brings its own processing.", f"Leave out {flag}.")
    before, after = read_processing(args.preprocess) if args.preprocess else (None, None)
    return edge_sdk.load(
        args.model,
        delegates=[name for name in args.delegate.split(",") if name],
        strict=args.strict,
        threads=args.threads,
        variant=args.variant,
        backend=args.backend,
        preprocess=before,
        postprocess=after,
        labels=read_labels(args.labels) if args.labels else (),
        guard=guard,
    )
