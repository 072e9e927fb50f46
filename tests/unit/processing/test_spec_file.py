from __future__ import annotations

import sys

import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing import read_labels, read_processing
from edge_sdk.spec import Classification, Detection, ImageInput, SsdAnchors

IMAGE = '[preprocess]\ninput = "image"\nsize = [28, 28]\n'


def write(tmp_path, text):
    path = tmp_path / "spec.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_both_tables(tmp_path):
    path = write(
        tmp_path,
        IMAGE
        + 'kind = "image"\nmean = [1, 2.5, 3]\n[postprocess]\nkind = "detection"\n'
        + 'boxes = "b"\nscores = "s"\nanchors = { strides = [8, 16] }\nmin_score = 0.25\n',
    )
    assert read_processing(path) == (
        ImageInput(input="image", size=(28, 28), mean=(1.0, 2.5, 3.0)),
        Detection(boxes="b", scores="s", anchors=SsdAnchors(strides=(8, 16)), min_score=0.25),
    )


def test_one_table_alone(tmp_path):
    assert read_processing(write(tmp_path, IMAGE))[1] is None
    only_after = write(tmp_path, '[postprocess]\nkind = "classification"\noutput = "p"\n')
    assert read_processing(only_after) == (None, Classification(output="p"))


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("", "nothing", "[preprocess]"),
        ("[preproces]\n", "[preproces]", "'preprocess'"),
        ("preprocess = 3\n", "not a table", "[preprocess]"),
        (IMAGE + "men = [1.0]\n", "'men'", "'mean'"),
        (IMAGE + 'resize = "squash"\n', "resize: invalid enum value 'squash'", ""),
        (IMAGE + "mean = 127.5\n", "mean: expected `array`", ""),
        ('[preprocess]\ninput = "image"\nsize = [28]\n', "size: expected `array` of length 2", ""),
        ('[preprocess]\ninput = "image"\n', "missing required field `size`", ""),
        (IMAGE + 'kind = "sound"\n', "'sound'", "'image'"),
        ('[postprocess]\noutput = "p"\n', "no kind", "'classification' or 'detection'"),
        (
            '[postprocess]\nkind = "detection"\nboxes = "b"\nscores = "s"\n'
            "anchors = { stride = [8] }\n",
            "anchors has an unknown key 'stride'",
            "'strides'",
        ),
        ("[preprocess\n", "not TOML", ""),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8", ""),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path, text, said, hint):
    with pytest.raises(UsageError) as caught:
        read_processing(write(tmp_path, text))
    assert "spec.toml" in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint and caught.value.hint


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_processing(path)


def test_python_3_10_without_tomli_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(UnavailableError) as caught:
        read_processing(write(tmp_path, IMAGE))
    assert caught.value.hint == "pip install tomli"


def test_python_3_10_reads_with_tomli(tmp_path, monkeypatch):
    reader = pytest.importorskip("tomllib", reason="plays tomli's part, and came with 3.11")
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    monkeypatch.setitem(sys.modules, "tomli", reader)
    assert read_processing(write(tmp_path, IMAGE))[0] is not None


def test_labels_are_lines(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("T-shirt/top\r\n  Ankle boot \n日本\n\n", encoding="utf-8")
    assert read_labels(path) == ("T-shirt/top", "Ankle boot", "日本")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no labels"), (b"\n\n", "no labels"), (b"a\n\nb\n", "Line 2"), (b"\xff\xfe", "UTF-8")],
)
def test_labels_that_are_none_are_refused(tmp_path, content, said):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_labels(path)
