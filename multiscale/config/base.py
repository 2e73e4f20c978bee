"""What all case models share, and how a mistake in one becomes a message that says what to do."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

MISSING = "this key is missing"


class CaseModel(BaseModel):
    """Base of everything in a case: frozen, unknown keys refused, field docstrings kept for the JSON Schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, kw_only=True)
class CaseProblem:
    """One mistake in a case: where it is, what is wrong and how to mend it; ``meant`` is the key that was misspelt."""

    path: tuple[str | int, ...]
    cause: str
    fix: str = ""
    meant: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def key(self) -> str:
        """The key as a person would say it, ``"specimen.length"`` or ``"interface.plane[2]"``."""
        text = ""
        for part in self.path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                word = str(part) if str(part).isprintable() else repr(part)
                text += f".{word}" if text else word
        return text

    def at(self, *, file: str, line: int, column: int) -> CaseProblem:
        """The same problem with its place in a file."""
        return replace(self, file=file, line=line, column=column)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = ": ".join(part for part in (place, brief(self.key), brief(self.cause)) if part)
        text = text if text.endswith((".", "?")) else text + "."
        fix = self.fix if not self.fix or self.fix.endswith((".", "?")) else self.fix + "."
        return f"{text} {brief(fix)}".strip()


class KeyedError(ValueError):
    """A mistake found by comparing keys; ``path`` leads from the model that raises to the key to point at."""

    def __init__(self, message: str, *path: str | int):
        super().__init__(message)
        self.path = path


class CaseError(ValueError):
    """A case that cannot be used; ``problems`` lists every mistake found."""

    def __init__(self, problems: Sequence[CaseProblem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple:
        """Pickle by the problems, so that the error can be sent between ranks."""
        return (type(self), (self.problems,))


def brief(text: str, most: int = 600) -> str:
    """A text of at most so many characters, its middle left out where it is longer: what was given may be of any length."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 3 :]}"


def nearest(word: Any, choices: Sequence[str]) -> str | None:
    """The choice that a mistyped word most likely meant, or None."""
    lowered = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(str(word).lower(), list(lowered), n=1, cutoff=0.5)
    return lowered[found[0]] if found else None


def either(choices: Sequence[Any]) -> str:
    """Choices in a sentence: "a, b or c"."""
    words = [str(choice) for choice in choices]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def split_message(text: str) -> tuple[str, str]:
    """Split "cause. Fix" at the first sentence end; the fix may be empty."""
    for end in (". ", ": did you mean"):
        if end in text:
            index = text.index(end)
            return text[:index], text[index + 2 :].strip().replace("did you mean", "Did you mean", 1)
    return text, ""


def problems_of(error: ValidationError, data: Any, model: type[BaseModel]) -> list[CaseProblem]:
    """Turn pydantic's errors on ``data`` into problems in our words."""
    problems = [_problem(details, data, model) for details in error.errors(include_url=False)]
    misspelt = {(*p.path[:-1], p.meant) for p in problems if p.meant}
    return [problem for problem in problems if problem.path not in misspelt or problem.cause != MISSING]


def _problem(details: Any, data: Any, model: type[BaseModel]) -> CaseProblem:
    path = _path_in(data, details["loc"], absent=details["type"] == "missing")
    kind, context, given = details["type"], details.get("ctx", {}), details["input"]
    if kind == "extra_forbidden":
        owner = _model_at(model, details["loc"][:-1])
        valid = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        near = nearest(path[-1], valid)
        choices = f"Valid keys here are {either(sorted(valid))}" if valid else "Leave it out"
        fix = f'Did you mean "{near}"?' if near else choices
        return CaseProblem(path=path, cause=f"unknown key {path[-1]!r}", fix=fix, meant=near)
    if kind == "missing":
        return CaseProblem(path=path, cause=MISSING, fix=_example_fix(model, details["loc"]))
    if kind in ("literal_error", "union_tag_invalid"):
        return _choice_problem(path, details, model)
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        choices = either(_tags(_annotation_at(model, details["loc"])))
        return CaseProblem(path=path, cause=f"the key {key!r} is missing", fix=f"Write {key}: {choices}")
    if kind in ("value_error", "assertion_error"):
        error = context.get("error")
        path = (*path, *getattr(error, "path", ()))
        cause, fix = split_message(str(error or details["msg"]))
        return CaseProblem(path=path, cause=cause, fix=fix)
    if kind == "invalid_key":
        return CaseProblem(path=path[:-1], cause=f"the key {path[-1]!r} is not text", fix="Write a name as the key")
    if kind == "too_short" and not context["actual_length"]:
        return CaseProblem(path=path, cause="this is empty", fix="Give at least 1 item")
    if kind in ("too_short", "too_long"):
        least = kind == "too_short"
        bound = f"at least {context['min_length']}" if least else f"at most {context['max_length']}"
        return CaseProblem(path=path, cause=f"it has {_items(context['actual_length'])}", fix=f"Give {bound}")
    expected = details["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    if kind in ("model_type", "model_attributes_type"):
        owner = _model_at(model, details["loc"])
        keys = either(list(owner.model_fields)) if owner else "its keys"
        return CaseProblem(path=path, cause=f"expected a mapping, got {given!r}", fix=f"Write keys below it: {keys}")
    return CaseProblem(path=path, cause=f"got {given!r}", fix=f"Expected {expected}")


def _items(count: int | None) -> str:
    return "too many items" if count is None else f"{count} item{'' if count == 1 else 's'}"


def _choice_problem(path: tuple, details: Any, model: type[BaseModel]) -> CaseProblem:
    context = details.get("ctx", {})
    if details["type"] == "union_tag_invalid":
        path = (*path, context["discriminator"].strip("'"))
        given: Any = context["tag"]
        choices = _tags(_annotation_at(model, details["loc"]))
    else:
        given = details["input"]
        choices = list(_literals(_annotation_at(model, details["loc"])))
    near = nearest(given, [str(choice) for choice in choices])
    fix = f'Did you mean "{near}"? ' if near else ""
    return CaseProblem(path=path, cause=f"{given!r} is not one of the choices", fix=f"{fix}Choose {either(choices)}")


def _path_in(data: Any, loc: Sequence[str | int], *, absent: bool) -> tuple[str | int, ...]:
    """Pydantic's location without the union tags that it mixes in; ``absent`` if its last part is a missing key."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        inside = (isinstance(data, Mapping) and part in data) or (
            isinstance(data, Sequence) and not isinstance(data, str) and isinstance(part, int) and part < len(data)
        )
        if inside:
            path.append(part)
            data = data[part]
        elif absent and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _arms(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, with Annotated and Optional peeled off."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _arms(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [arm for part in typing.get_args(annotation) for arm in _arms(part)]
    return [] if annotation is type(None) else [annotation]


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [arm for arm in _arms(annotation) if isinstance(arm, type) and issubclass(arm, BaseModel)]


def _literals(annotation: Any) -> tuple[Any, ...]:
    return tuple(
        value for arm in _arms(annotation) if typing.get_origin(arm) is typing.Literal for value in typing.get_args(arm)
    )


def _tag(model: type[BaseModel]) -> str | None:
    for name in ("shape", "type", "path"):
        field = model.model_fields.get(name)
        if field is not None and (values := _literals(field.annotation)):
            return values[0]
    return None


def _tags(annotation: Any) -> list[str]:
    return [tag for model in _models(annotation) if (tag := _tag(model)) is not None]


def _annotation_at(model: type[BaseModel], loc: Sequence[str | int]) -> Any:
    """The type annotation at a pydantic location, None where there is none."""
    annotation: Any = model
    for part in loc:
        models = _models(annotation)
        if isinstance(part, int):
            arguments = [typing.get_args(arm) for arm in _arms(annotation)]
            annotation = next((args[0] for args in arguments if args), None)
        elif len(models) > 1:
            annotation = next((choice for choice in models if _tag(choice) == part), None)
        elif models and part in models[0].model_fields:
            annotation = models[0].model_fields[str(part)].annotation
        elif not models and (values := _values_of_mapping(annotation)) is not None:
            annotation = values
        elif not models:
            return annotation
        else:
            return None
    return annotation


def _values_of_mapping(annotation: Any) -> Any:
    """The annotation of a mapping's values, None where it is no mapping with one."""
    arguments = [typing.get_args(arm) for arm in _arms(annotation) if typing.get_origin(arm) is dict]
    return next((found[1] for found in arguments if len(found) == 2), None)


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel] | None:
    models = _models(_annotation_at(model, loc))
    return models[0] if len(models) == 1 else None


def _example_fix(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    """How to write a missing key, from the example that its field carries."""
    owner = _model_at(model, loc[:-1])
    field = owner.model_fields.get(str(loc[-1])) if owner else None
    if field is not None and field.examples:
        return f"Write, for example, {loc[-1]}: {flow(field.examples[0])}"
    if field is not None and (choices := _literals(field.annotation)):
        return f"Write {loc[-1]}: {either(choices)}"
    return f'Add "{loc[-1]}"'


def flow(value: Any) -> str:
    """A value in YAML's one-line style, ``{plane: [1, 1, 1]}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return str(value)
