"""PyTorch files that would run code: recognised as bytes, refused, and provably not run."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from converters.engines import engine, quiet
from converters.sources import open_source
from converters.sources.torch_archive import kind_of, laundered
from edge_sdk.errors import UsageError

torch: Any = engine("torch")
SHAPES = {"input": (1, 3, 8, 8)}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Evil:
    """Unpickling it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def network() -> Any:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "model.pt2"
    with quiet():
        torch.export.save(torch.export.export(network(), (torch.zeros(1, 3, 8, 8),)), path)
    return path


def rewritten(path: Path, to: Path, **changed: bytes) -> Path:
    """The archive with entries replaced or added; ``a/b.c`` is given as ``a__b_DOT_c``."""
    names = {key.replace("__", "/").replace("_DOT_", "."): value for key, value in changed.items()}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for entry in old.infolist():
            short = entry.filename.partition("/")[2]
            new.writestr(entry.filename, names.pop(short, None) or old.read(entry))
        for name, content in names.items():
            new.writestr(f"model/{name}", content)
    return to


def graph(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = json.loads(archive.read("model/models/model.json"))
        return found


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, legacy: bool) -> None:
    path, target = tmp_path / "model.pt", tmp_path / "made"
    torch.save(Evil(target), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UsageError, match=r"is a pickle, which runs code .*\.mkdir") as caught:
        open_source(path, shapes=SHAPES)
    assert "--trust-code" in caught.value.hint
    assert not target.exists()
    with pytest.raises(UsageError):  # it is no model; but it was loaded, as was asked
        open_source(path, shapes=SHAPES, trust_code=True)
    assert target.is_dir()


def test_a_bare_pickle_is_refused_too(tmp_path: Path) -> None:
    path, target = tmp_path / "model.pth", tmp_path / "made"
    path.write_bytes(pickle.dumps(Evil(target)))
    with pytest.raises(UsageError, match="is a pickle"):
        open_source(path, shapes=SHAPES)
    assert not target.exists()


def test_a_pickled_module_is_opened_for_those_who_trust_it(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(network(), path)
    with pytest.raises(UsageError, match=r"is a pickle, which runs code when it is loaded\.\n"):
        open_source(path, shapes=SHAPES)
    source = open_source(path, shapes=SHAPES, trust_code=True)
    assert source.kind == "pytorch"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("trusted", [False, True])
def test_weights_alone_are_told_how_to_become_a_model(
    tmp_path: Path, legacy: bool, trusted: bool
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UsageError, match="holds weights and no model") as caught:
        open_source(path, shapes=SHAPES, trust_code=trusted)
    assert "mymodule:make_model" in caught.value.hint


@pytest.mark.parametrize("entry", ["data__sample_inputs__model_DOT_pt", "extra__evil_DOT_pt"])
def test_what_lies_beside_a_program_is_left_out(program: Path, tmp_path: Path, entry: str) -> None:
    """PyTorch's loader unpickles the sample inputs, code and all."""
    target, pickled = tmp_path / "made", io.BytesIO()
    torch.save((Evil(target),), pickled)
    path = rewritten(program, tmp_path / "evil.pt2", **{entry: pickled.getvalue()})
    assert open_source(path).kind == "pt2"
    assert not target.exists()


@pytest.mark.parametrize("kind", ["weights", "constants"])
@pytest.mark.parametrize("name", ["weight_0", "opaque_obj_0"])
def test_pickled_tensors_of_a_program_are_not_loaded(
    program: Path, tmp_path: Path, kind: str, name: str
) -> None:
    target = tmp_path / "made"
    config = {"config": {"0.weight": {"path_name": name, "is_param": True, "use_pickle": True}}}
    path = rewritten(
        program,
        tmp_path / "evil.pt2",
        **{
            f"data__{kind}__model_{kind}_config_DOT_json": json.dumps(config).encode(),
            f"data__{kind}__{name}": pickle.dumps(Evil(target)),
        },
    )
    with pytest.raises(UsageError, match="holds pickled objects") as caught:
        open_source(path)
    assert "--trust-code" in caught.value.hint
    assert not target.exists()


def test_weights_of_an_older_layout_are_a_pickle(program: Path, tmp_path: Path) -> None:
    path = rewritten(program, tmp_path / "evil.pt2", data__weights__model_DOT_pt=b"\x80\x02.")
    with pytest.raises(UsageError, match="holds pickled objects"):
        open_source(path)


def test_a_compiled_library_is_not_opened(program: Path, tmp_path: Path) -> None:
    path = rewritten(program, tmp_path / "evil.pt2", data__aotinductor__model__a_DOT_so=b"\x7fELF")
    with pytest.raises(UsageError, match="compiled library"):
        open_source(path)


@pytest.mark.parametrize(
    "formula",
    ["__import__('os').mkdir('made')", "open('made', 'w')", "[x for x in (1,)]", "a.b", "S('a.b')"],
)
def test_a_formula_is_no_program(program: Path, tmp_path: Path, formula: str) -> None:
    """PyTorch's loader gives it to sympy, which evaluates it as Python."""
    document = graph(program)
    values = document["graph_module"]["graph"]["tensor_values"]
    values["input"]["sizes"][0] = {"as_expr": {"expr_str": formula, "hint": {"as_int": 1}}}
    path = rewritten(
        program, tmp_path / "evil.pt2", models__model_DOT_json=json.dumps(document).encode()
    )
    with pytest.raises(UsageError, match="no formula"):
        open_source(path)


@pytest.mark.parametrize(
    "operation", ["torch.ops.aten.from_file.default", "torch.os.system", "torch.hub.load"]
)
def test_an_operation_that_is_no_arithmetic_is_named(
    program: Path, tmp_path: Path, operation: str
) -> None:
    document = graph(program)
    document["graph_module"]["graph"]["nodes"][0]["target"] = operation
    path = rewritten(
        program, tmp_path / "evil.pt2", models__model_DOT_json=json.dumps(document).encode()
    )
    with pytest.raises(UsageError, match=f"arithmetic: {operation}"):
        open_source(path)


def test_guards_are_code_and_left_out(program: Path, tmp_path: Path) -> None:
    document = graph(program)
    document["guards_code"] = [f"__import__('os').mkdir({str(tmp_path / 'made')!r}) is None"]
    path = rewritten(
        program, tmp_path / "evil.pt2", models__model_DOT_json=json.dumps(document).encode()
    )
    source = open_source(path)
    source.run_one({"input": torch.zeros(1, 3, 8, 8).numpy()})
    assert not (tmp_path / "made").exists()


def test_torchscript_that_writes_a_file_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"

    class Writing(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.target = str(target)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, self.target)
            return x

    path = tmp_path / "model.pt"
    with quiet():
        torch.jit.script(Writing()).save(str(path))
    with pytest.raises(UsageError, match=r"reach beyond the model: torch\.save") as caught:
        open_source(path, shapes={"x": (1, 2)})
    assert "--trust-code" in caught.value.hint
    assert not target.exists()


@pytest.mark.parametrize("suffix", [".pt2", ".pt", ".pth", ".torchscript"])
@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", b"text", b"\x80"])
def test_what_is_no_file_of_pytorch_s(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        open_source(path)


def test_a_program_cut_short(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.pt2"
    path.write_bytes(program.read_bytes()[:-200])
    with pytest.raises(UsageError, match="cut short"):
        open_source(path)


def test_two_entries_of_one_name(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "double.pt2"
    path.write_bytes(program.read_bytes())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model/models/model.json", b"{}")
    with pytest.raises(UsageError, match="two entries of one name"):
        kind_of(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/models/model.json", bytes(80 << 20))
    with pytest.raises(UsageError, match="far more than a model holds"):
        kind_of(path)


def test_a_copy_holds_only_what_was_looked_at(program: Path) -> None:
    with zipfile.ZipFile(laundered(program, "pt2")) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    assert all(
        name.startswith(("models/", "data/weights/", "data/constants/", "data/sample_inputs/"))
        or name in ("archive_format", "archive_version", "byteorder", ".data/version")
        for name in names
    )
