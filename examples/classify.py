"""Classify photographs, and say why the first one is what it is.

.venv/bin/python -m examples.classify fashion-1.0.0.edge photo.jpg other.jpg
"""

import edge_sdk
from edge_sdk.pipeline import draw, read_picture, write_picture
from examples.shell import from_shell


def main(model: str, photo: str, *others: str) -> None:
    """Run it."""
    with edge_sdk.load(model) as session:
        for each in (photo, *others):
            answer = session.predict(read_picture(each))  # the artifact says how
            print(f"{each}: {answer}")
        first = read_picture(photo)
        why = session.explain(first)
        write_picture("why.png", draw(first, why))
        print(f"why: {why.word()}")
        print(session.placement)


if __name__ == "__main__":
    from_shell(main)
