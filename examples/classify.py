"""Classify photographs, and say why the first one is what it is.

.venv/bin/python -m examples.classify fashion-1.0.0.edge photo.jpg other.jpg
"""

import sys

import edge_sdk
from edge_sdk.pipeline import draw, read_picture, write_picture


def main(model: str, *photos: str) -> None:
    """Run it."""
    with edge_sdk.load(model) as session:
        for photo in photos:
            answer = session.predict(read_picture(photo))  # the artifact says how
            print(f"{photo}: {answer}")
        first = read_picture(photos[0])
        why = session.explain(first)
        write_picture("why.png", draw(first, why))
        print(f"why: {why.word()}")
        print(session.placement)


if __name__ == "__main__":
    main(*sys.argv[1:])
