"""Groups of parameters with options of their own, as dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from rot180.layers import Parameter

Parameters: TypeAlias = Iterable[Parameter] | Iterable[Mapping[str, Any]]
Group: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]

# One call of a kernel takes tensors that differ in these options, and in no other.
OPTIONS_OF_A_TENSOR = ("lr", "weight_decay")


def make_groups(parameters: Parameters, defaults: Mapping[str, Any], check: Check) -> list[Group]:
    """Return checked groups with all options; parameters that are not in groups make up one."""
    defaults = check(defaults)
    entries = list(parameters)
    if not entries:
        raise ValueError("parameters is empty: pass model.parameters()")
    seen: set[int] = set()
    if not any(isinstance(entry, Mapping) for entry in entries):
        return [{"parameters": checked_parameters("parameters", entries, seen), **defaults}]
    groups = []
    for position, entry in enumerate(entries):
        where = f"parameters[{position}]"
        own = _checked_entry(where, entry, defaults)
        members = checked_parameters(f"{where}['parameters']", own.pop("parameters"), seen)
        with _naming(where):
            groups.append({"parameters": members, **check({**defaults, **own})})
    return groups


def options_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of a group but its parameters."""
    return {name: option for name, option in group.items() if name != "parameters"}


def groups_of_one_call(groups: list[Group]) -> list[list[int]]:
    """Return indices of the groups whose other options are the same, in lists."""
    if len(groups) == 1:
        return [[0]]
    calls: list[tuple[dict[str, Any], list[int]]] = []
    for index, group in enumerate(groups):
        shared = {k: v for k, v in options_of(group).items() if k not in OPTIONS_OF_A_TENSOR}
        for options, members in calls:
            if options == shared:
                members.append(index)
                break
        else:
            calls.append((shared, [index]))
    return [members for _, members in calls]


def joined_options(groups: list[Group]) -> dict[str, Any]:
    """Return the options of one call; those that may differ as lists, an entry a parameter."""
    options = options_of(groups[0])
    if len(groups) > 1:
        for name in OPTIONS_OF_A_TENSOR:
            options[name] = [group[name] for group in groups for _ in group["parameters"]]
    return options


def described_groups(groups: list[Group], names: list[str]) -> list[Group]:
    """Return groups as JSON can hold them: parameters by name, tuples as lists."""
    rest = iter(names)
    return [
        {
            "parameters": [next(rest) for _ in group["parameters"]],
            **{
                name: list(option) if isinstance(option, tuple) else option
                for name, option in options_of(group).items()
            },
        }
        for group in groups
    ]


def described_options(found: Any, expected: list[Group], check: Check) -> list[dict[str, Any]]:
    """Return the checked options of groups that `described_groups` wrote.

    They must have the parameters and the names of options that `expected` has, which is what
    `described_groups` says of the optimizer's own.
    """
    if not isinstance(found, list | tuple) or len(found) != len(expected):
        what = f"{len(found)} groups" if isinstance(found, list | tuple) else repr(found)
        raise ValueError(
            f"the state's 'groups' is {what}, expected {len(expected)} groups: "
            "build the optimizer with the same groups"
        )
    checked = []
    for index, (entry, own) in enumerate(zip(found, expected, strict=True)):
        where = f"the state's groups[{index}]"
        if not isinstance(entry, Mapping) or set(entry) != set(own):
            raise ValueError(f"{where} must be a dict of {', '.join(own)}")
        if entry["parameters"] != own["parameters"]:
            raise ValueError(
                f"{where} has parameters {entry['parameters']}, expected {own['parameters']}"
            )
        with _naming(where):
            checked.append(check(options_of(entry)))
    return checked


def checked_parameters(where: str, given: Any, seen: set[int]) -> list[Parameter]:
    """Return a list of parameters, each of them there for the first time; `seen` gets their ids."""
    if isinstance(given, Parameter):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"{where} is {type(given).__name__}, expected a list of Parameter")
    parameters = list(given)
    if not parameters:
        raise ValueError(f"{where} is empty: leave the group out")
    for position, parameter in enumerate(parameters):
        if not isinstance(parameter, Parameter):
            raise TypeError(
                f"{where}[{position}] is {type(parameter).__name__}, expected Parameter: "
                "pass model.parameters()"
            )
        if id(parameter) in seen:
            raise ValueError(f"{where}[{position}], {parameter!r}, is there twice")
        seen.add(id(parameter))
    return parameters


def _checked_entry(where: str, entry: Any, defaults: Mapping[str, Any]) -> Group:
    """Copy a group that is a dict with nothing unknown in it."""
    if not isinstance(entry, Mapping):
        raise TypeError(
            f"{where} is {type(entry).__name__} beside groups, expected a dict: "
            "{'parameters': [...], 'lr': 1e-4}"
        )
    unknown = [name for name in entry if name != "parameters" and name not in defaults]
    if "parameters" not in entry or unknown:
        what = f"has {unknown[0]!r}" if unknown else "has no 'parameters'"
        raise ValueError(f"{where} {what}: expected parameters, and any of {', '.join(defaults)}")
    return dict(entry)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say at which group an option was refused."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = (f"{where}: {error}",)
        raise
