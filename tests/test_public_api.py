"""
What the SDK promises to its users, as a snapshot.

A change here is a change for every user: a new line needs a word in the changelog, a changed or lost line a release
that says so. To take a new snapshot: ``python tests/test_public_api.py``.
"""

import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

SNAPSHOT = Path(__file__).with_name("public_api.txt")
INTEGRATIONS = tuple(f"assay.integrations.{name}" for name in ("asgi", "celery", "django", "flask", "wsgi"))
MODULES = ("assay", "assay.testing", *INTEGRATIONS)


def public_api() -> str:
    return "".join(f"{line}\n" for module in MODULES for line in _module(module))


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    for public in _names(module):
        yield from _member(f"{name}.{public}", getattr(module, public))


def _names(module: ModuleType) -> list[str]:
    """The module's public list; without one, what is defined in it and has no underscore."""
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    return sorted(getattr(module, "__all__", None) or (name for name in own if not name.startswith("_")))


def _member(name: str, member: Any) -> Iterator[str]:
    if inspect.isclass(member):
        bases = ", ".join(base.__name__ for base in member.__bases__ if base is not object)
        yield f"class {name}({bases})"
        if not issubclass(member, Enum):
            yield f"{name}{_signature(member)}"
        for inner, value in sorted(vars(member).items()):
            if not inner.startswith("_"):
                yield from _attribute(f"{name}.{inner}", value)
    elif callable(member):
        yield f"{name}{_signature(member)}"
    else:
        yield f"{name}: {type(member).__name__}"


def _attribute(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        yield f"{name}: property"
    elif isinstance(value, classmethod | staticmethod):
        yield f"{name}{_signature(value.__func__)}  # {type(value).__name__}"
    elif inspect.isfunction(value):
        yield f"{name}{_signature(value)}"
    else:
        yield f"{name}: attribute"


def _signature(value: Any) -> str:
    if inspect.isclass(value) and not inspect.isfunction(value.__init__):
        return "(...)"  # inherited from Python itself, which spells it otherwise from one version to the next
    # Without annotations, for the same reason.
    signature = inspect.signature(value)
    parameters = [
        each.replace(annotation=inspect.Parameter.empty, default=_default(each.default))
        for each in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def _default(value: Any) -> Any:
    # An object's repr may hold its address.
    plain = value is inspect.Parameter.empty or isinstance(value, NoneType | bool | int | float | str | tuple)
    return value if plain else _Shown(value)


class _Shown:
    def __init__(self, value: Any) -> None:
        self._name = getattr(value, "__name__", type(value).__name__)

    def __repr__(self) -> str:
        return f"<{self._name}>"


def test_the_public_api_is_as_it_was():
    """Nobody's code breaks by accident: names, parameters and defaults are those of the snapshot."""
    assert SNAPSHOT.read_text() == public_api()


def test_every_public_name_is_explained():
    """Whatever is public has a docstring of its own."""
    modules = [importlib.import_module(name) for name in MODULES]
    members = [getattr(module, name) for module in modules for name in _names(module)]

    assert [] == [member for member in members if callable(member) and not inspect.getdoc(member)]


if __name__ == "__main__":
    SNAPSHOT.write_text(public_api())
