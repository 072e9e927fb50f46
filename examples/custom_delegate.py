"""A delegate of your own, or of a chip's maker: a shared library, held against the plain kernels.

    .venv/bin/python -m examples.custom_delegate model.tflite './libmine.so?device=0'

The library has TFLite's external delegate interface. It is tried in a process of its own first: one
that crashes is refused, and the model runs on what comes next in the list.
"""

import numpy as np

import edge_sdk
from examples.shell import from_shell


def main(model: str, delegate: str) -> None:
    """Run it."""
    with (
        edge_sdk.load(model, delegates=[delegate, "xnnpack"]) as mine,
        edge_sdk.load(model, delegates=["cpu"]) as plain,
    ):
        print(mine.placement)  # what it took, what is left to others, and what that costs
        random = np.random.default_rng(0)
        inputs = {}
        for tensor in mine.signature.inputs:
            shape = [length if isinstance(length, int) else 1 for length in tensor.shape]
            inputs[tensor.name] = random.random(shape).astype(tensor.dtype)
        expected = plain.run(inputs)
        for name, values in mine.run(inputs).items():
            print(f"{name}: {np.abs(values - expected[name]).max():.2g} from the plain kernels'")


if __name__ == "__main__":
    from_shell(main)
