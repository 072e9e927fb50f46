"""What a PyTorch file could do besides arithmetic, and how it is kept from doing it.

Three kinds of file share the suffixes ``.pt``, ``.pth`` and ``.pt2``, nearly all of them zips:

*   ``torch.save`` writes a **pickle**. Loading one calls whatever functions it names.
*   ``torch.jit.save`` writes **TorchScript**, a program in a language of its own, which can write
    and read this machine's files (``torch.save``, ``torch.from_file``).
*   ``torch.export.save`` writes a graph as JSON, but its loader unpickles the sample inputs and odd
    tensors that lie beside it, evaluates shape formulas and guards as Python, and opens compiled
    libraries.

So a file is looked at as bytes. What is loaded afterwards is not the file but a copy of the entries
that were looked at: two readers of one zip need not see the same entries in it.
"""

from __future__ import annotations

import ast
import io
import json
import pickletools
import re
import tokenize
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from edge_sdk.errors import UsageError

Kind = Literal["pt2", "torchscript", "pickle"]

UNREADABLE = "Check that the file is whole, and save the model again."
TRUST = "If you trust whoever made it: --trust-code"
_LEGACY_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_BOMB = 64 << 20
"""Bytes that may come out of a zip beyond four times its size: those we know store, not squeeze."""

_SCRIPT_NAMES = {"save", "from_file", "load_tensor", "rpc_async", "rpc_sync", "rpc_remote"}
_SCRIPT_SPACES = {"aten", "prim", "prims", "quantized", "_quantized", "torchvision"}

_OPERATION = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed|torchvision)\.(?!from_file\b)\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|map_impl|scan|while_loop|associative_scan|wrap_with_\w+)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|getitem|ge|gt|le|lt|eq|ne|and_|or_"
    r"|not_|lshift|rshift)"
    r"|math\.(ceil|floor|trunc|sqrt)|torch\.(_sym_sqrt|sym_\w+)"
)
_HARMLESS_GLOBALS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_\w+|torch\.serialization _get_layout"
    r"|torch (\w+Storage|Size|device|\w*float\w*|\w*int\d*|bool)|torch\._tensor _rebuild\w+"
    r"|torch\.storage \w+|numpy\S* \w+|_codecs encode"
)


def kind_of(path: Path) -> Kind:
    """What a file is, by what lies in it.

    Raises:
        UsageError: it is none of the three, or was cut short.
    """
    with path.open("rb") as file:
        start = file.read(len(_LEGACY_PICKLE))
    if start == _LEGACY_PICKLE or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        return "pickle"
    names = set(_entries(path))
    if any(name.startswith("models/") for name in names):
        return "pt2"
    if "serialized_exported_program.json" in names:
        raise UsageError(
            f"{path} was exported by a PyTorch before 2.8.",
            "Export it again with a newer one: torch.export.save(program, 'model.pt2')",
        )
    if "constants.pkl" in names:
        return "torchscript"
    if "data.pkl" in names:
        return "pickle"
    raise UsageError(f"{path} is not a file that PyTorch wrote.", UNREADABLE)


def refuse_pickle(path: Path) -> UsageError:
    """What to say to a pickle that is not trusted. Nothing of it is executed to find out."""
    called = sorted(_globals(path))
    if called and all(_HARMLESS_GLOBALS.fullmatch(name) for name in called):
        return weights_only(path)
    strange = [
        name for name in called if not re.match(r"torch\b|collections\b|__builtin__ set", name)
    ]
    named = ", ".join(name.replace(" ", ".") for name in strange[:3])
    return UsageError(
        f"{path} is a pickle, which runs code when it is loaded"
        + (f" (it calls {named})." if named else "."),
        f"{TRUST}\nBetter: torch.export.save(torch.export.export(model, example), 'model.pt2')",
    )


def weights_only(path: Path) -> UsageError:
    """What to say to a state_dict."""
    return UsageError(
        f"{path} holds weights and no model (a state_dict).",
        "Load them into the model and name the function that returns it:\n"
        "edge convert mymodule:make_model --input NAME:SHAPE -o OUT.edge",
    )


def laundered(path: Path, kind: Kind) -> io.BytesIO:
    """A copy of a TorchScript or ``.pt2`` file without anything that would execute Python.

    Raises:
        UsageError: the model needs such a thing; names it.
    """
    entries = _entries(path)
    if kind == "pt2":
        entries = _checked_program(path, entries)
    else:
        _check_script(path, entries)
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(f"model/{name}", content)
    copy.seek(0)
    return copy


def _entries(path: Path) -> dict[str, bytes]:
    """The entries of a zip by their names, without the folder that all of them lie in."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            _check_entries(path, found)
            return {_within(entry): archive.read(entry) for entry in found}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise _cut_short(path) from error


def _check_entries(path: Path, found: list[zipfile.ZipInfo]) -> None:
    """Refuse a zip that two readers may see differently, or that is far larger than it looks."""
    # Of a file that was cut short, the last whole zip within it would be read.
    if min((entry.header_offset for entry in found), default=1) > 0:
        raise _cut_short(path)
    if sum(entry.file_size for entry in found) > 4 * path.stat().st_size + _BOMB:
        raise UsageError(f"{path} unpacks to far more than a model holds.", UNREADABLE)
    if len(set(map(_within, found))) < len(found):
        raise UsageError(f"{path} holds two entries of one name.", UNREADABLE)


def _within(entry: zipfile.ZipInfo) -> str:
    return entry.filename.partition("/")[2] or entry.filename


def _cut_short(path: Path) -> UsageError:
    return UsageError(f"{path} is not a file that PyTorch wrote, or it was cut short.", UNREADABLE)


def _globals(path: Path) -> set[str]:
    """What a pickle would import, as ``module name``, read without executing it."""
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        data = _entries(path).get("data.pkl", b"")
    found: set[str] = set()
    strings: list[str] = []
    stream = io.BytesIO(data)
    try:
        while stream.tell() < len(data):  # an old file is several pickles, then the tensors
            for operation, argument, _ in pickletools.genops(stream):
                if operation.name == "GLOBAL":
                    found.add(str(argument))
                elif operation.name == "STACK_GLOBAL":
                    found.add(" ".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
    except (ValueError, IndexError, UnicodeDecodeError):
        pass  # the tensors
    return found


def _check_script(path: Path, entries: Mapping[str, bytes]) -> None:
    """Refuse TorchScript that names an operation on files, or one that is not PyTorch's own."""
    offences: set[str] = set()
    for name, content in entries.items():
        if name.startswith("code/") and name.endswith(".py"):
            offences |= set(_script_offences(path, content))
    if offences:
        raise UsageError(
            f"{path} holds operations that reach beyond the model: {', '.join(sorted(offences))}.",
            TRUST,
        )


def _script_offences(path: Path, code: bytes) -> Iterator[str]:
    try:
        words = [token.string for token in tokenize.tokenize(io.BytesIO(code).readline)]
    except (tokenize.TokenError, SyntaxError) as error:
        raise UsageError(f"{path} holds TorchScript that cannot be read.", UNREADABLE) from error
    for at, word in enumerate(words):
        space = words[at + 2] if words[at + 1 : at + 2] == ["."] else ""
        if word in _SCRIPT_NAMES and words[at - 1] == ".":
            yield f"torch.{word}"
        elif word == "ops" and space and space not in _SCRIPT_SPACES:
            yield f"ops.{space}"
        elif word == "classes" and space and space != "quantized":
            yield f"classes.{space}"


def _checked_program(path: Path, entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """The entries of a ``.pt2`` that hold its graph and its numbers; no others."""
    kept: dict[str, bytes] = {}
    for name, content in entries.items():
        if name.startswith("data/aotinductor/"):
            raise UsageError(f"{path} holds a compiled library, which loading it would run.", TRUST)
        if name.startswith("models/"):
            kept[name] = json.dumps(_checked_graph(path, _document(path, content))).encode()
        elif name.startswith("data/sample_inputs/"):
            kept[name] = b""  # a pickle, and none of the model
        elif name.endswith("_config.json"):
            _check_payloads(path, _document(path, content))
            kept[name] = content
        elif name.startswith(("data/weights/", "data/constants/")):
            if name.endswith(".pt"):
                raise _pickled(path, name)
            kept[name] = content
        elif name in ("archive_format", "archive_version", "byteorder", ".data/version"):
            kept[name] = content
    return kept


def _document(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} holds JSON that cannot be read.", UNREADABLE) from error


def _check_payloads(path: Path, document: Any) -> None:
    for name, payload in _mapping(_mapping(document).get("config")).items():
        meta = _mapping(payload)
        if meta.get("use_pickle") or "_obj_" in str(meta.get("path_name")):
            raise _pickled(path, name)


def _pickled(path: Path, name: str) -> UsageError:
    return UsageError(f"{path} holds pickled objects ({name}), and loading them runs code.", TRUST)


def _checked_graph(path: Path, document: Any) -> Any:
    """The graph, less what only debugging needs, once all in it is known to be harmless."""
    document = _mapping(document)
    document["guards_code"] = []
    for found in _mappings(document):
        operation = found.get("target") if "outputs" in found else found.get("as_operator")
        if isinstance(operation, str) and not _OPERATION.fullmatch(operation):
            raise UsageError(
                f"{path} holds an operation that is not PyTorch's arithmetic: {operation}.", TRUST
            )
        formula = found.get("expr_str")
        if formula is not None and not _is_arithmetic(str(formula)):
            raise UsageError(f"{path} holds a length that is no formula: {formula}.", TRUST)
        if isinstance(found.get("metadata"), dict) and "outputs" in found:
            known = ("stack_trace", "nn_module_stack")
            found["metadata"] = {k: v for k, v in found["metadata"].items() if k in known}
        for side in ("in_spec", "out_spec"):
            # An enumeration is imported by its name, which escapes inside the JSON could hide.
            if re.search(r"__enum__|\\u00", str(found.get(side))):
                raise UsageError(f"{path} takes or gives objects of Python classes.", TRUST)
    return document


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document."""
    open_ = [value]
    while open_:
        item = open_.pop()
        if isinstance(item, dict):
            yield item
            open_ += item.values()
        elif isinstance(item, list):
            open_ += item


def _is_arithmetic(formula: str) -> bool:
    """Whether it is made of numbers, names, operators, and functions like ``Max(s0, 2)``.

    The loader evaluates it as Python.
    """
    try:
        tree = ast.parse(formula, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = (
        ast.Expression, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator,
        ast.unaryop, ast.Call, ast.keyword, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop,
    )  # fmt: skip
    return all(isinstance(node, allowed) and _is_harmless(node) for node in ast.walk(tree))


def _is_harmless(node: ast.AST) -> bool:
    """Of what a formula may be made of: no private name, no call but by a name with a capital."""
    if isinstance(node, ast.Name):
        return not node.id.startswith("_")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.fullmatch(r"[a-z]+\d+", node.value) is not None  # Symbol('s40', integer=True)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id[:1].isupper()
    return True
