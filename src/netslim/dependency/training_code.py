"""Whether a network may do something else in training than in evaluation: its code is asked, which is not run."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import CodeType, FunctionType

from torch import nn

_KNOWN = ("torch.", "torchvision.ops.", "timm.layers.")  # what these do in training alone: noise for images or numbers


def asks_for_mode(model: nn.Module) -> bool:
    """Whether code of the network looks at `training`, other than to hand it to a function of torch's like dropout."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__ if not _is_known(kind)}
    members = [member for kind in kinds for member in vars(kind).values() if isinstance(member, FunctionType)]
    return any(_names_training(member.__code__) and not _hands_on(member) for member in members)


def _is_known(what: object) -> bool:
    return what is object or f"{getattr(what, '__module__', '')}.".startswith(_KNOWN)


def _names_training(code: CodeType) -> bool:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return "training" in code.co_names or any(_names_training(each) for each in inner)


def _hands_on(function: FunctionType) -> bool:
    """Whether all that it does with `training` is to hand it to such functions; False where there is no source."""
    try:
        nodes = [*ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function))))]
    except (OSError, TypeError, SyntaxError):
        return False
    calls = [node for node in nodes if isinstance(node, ast.Call) and _is_known(_called(node.func, function))]
    handed = {id(given) for call in calls for given in (*call.args, *(keyword.value for keyword in call.keywords))}
    return all(id(node) in handed for node in nodes if isinstance(node, ast.Attribute) and node.attr == "training")


def _called(callee: ast.expr, function: FunctionType) -> object:
    """What `dropout` or `F.dropout` is in the function's module, None for any other expression."""
    if isinstance(callee, ast.Name):
        return function.__globals__.get(callee.id)
    if isinstance(callee, ast.Attribute) and isinstance(callee.value, ast.Name):
        return getattr(function.__globals__.get(callee.value.id), callee.attr, None)
    return None
