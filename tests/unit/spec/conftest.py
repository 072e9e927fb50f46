"""Every word there is, and a Hypothesis strategy for each, read off its own types."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec import inspect

import edge_sdk.spec
from edge_sdk.spec import Word
from edge_sdk.spec.wire import BODIES, Envelope, Message

_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_ASCII = st.characters(codec="ascii")
_SCALARS: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    inspect.BoolType: st.booleans(),
    inspect.NoneType: st.none(),
}


for module in pkgutil.iter_modules(edge_sdk.spec.__path__):
    import_module(f"{edge_sdk.spec.__name__}.{module.name}")


def _every_word(root: type[Word]) -> list[type[Word]]:
    found = [root, *(word for child in root.__subclasses__() for word in _every_word(child))]
    return [word for word in found if word.__module__.startswith(edge_sdk.spec.__name__)]


# An envelope is MessagePack alone, see test_envelope.py.
WORDS = sorted(set(_every_word(Word)) - {Word, Envelope}, key=lambda word: word.__qualname__)


def words(word: type[Word]) -> st.SearchStrategy[Any]:
    """Any value of that word, every field drawn."""
    described = msgspec.inspect.type_info(word)
    assert isinstance(described, inspect.StructType)
    return st.builds(word, **{f.name: _values(f.type) for f in described.fields})


def _values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.StructType():
            return words(kind.cls)
        case inspect.StrType(pattern=None):
            return _TEXT
        case inspect.StrType():
            return st.from_regex(str(kind.pattern).replace("$(?!\\n)", "\\Z"), alphabet=_ASCII)
        case inspect.IntType():
            return st.integers(-(2**63) if kind.ge is None else kind.ge, 2**63 - 1)
        case inspect.BytesType():
            least = kind.min_length or 0
            return st.binary(min_size=least, max_size=kind.max_length or least + 40)
        case inspect.EnumType():
            return st.sampled_from(list(kind.cls))
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.UnionType():
            return st.one_of(*map(_values, kind.types))
        case inspect.TupleType():
            return st.tuples(*map(_values, kind.item_types))
        case inspect.VarTupleType():
            return st.lists(_values(kind.item_type), max_size=3).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_values(kind.key_type), _values(kind.value_type), max_size=3)
    return _SCALARS[type(kind)]


@pytest.fixture(scope="session", params=WORDS, ids=lambda word: word.__qualname__)
def word(request: pytest.FixtureRequest) -> type[Word]:
    """Each word in turn."""
    found: type[Word] = request.param
    return found


@pytest.fixture(scope="session")
def any_value(word: type[Word]) -> st.SearchStrategy[Any]:
    """Any value of that word."""
    return words(word)


@pytest.fixture(scope="session")
def all_words() -> set[type[Word]]:
    return {*WORDS, Envelope}


@pytest.fixture(scope="session", params=BODIES.values(), ids=lambda kind: kind.TYPE)
def any_message(request: pytest.FixtureRequest) -> st.SearchStrategy[Message]:
    """Any message of each type that travels."""
    return words(request.param)
