"""Turns texts into values: each setting parses its own text, and every fault is reported."""

from collections.abc import Iterable
from typing import Any

from tollkeeper.errors import Fault
from tollkeeper.settings import Setting
from tollkeeper.settings.parsers import InvalidValue
from tollkeeper.settings.sources import Texts, did_you_mean


def parse_values(settings: Iterable[Setting], texts: Texts, prefix: str, faults: list[Fault]) -> dict[str, Any]:
    """Return the values of the settings without faults. If one is not set: its default, None, or an empty tuple."""
    values: dict[str, Any] = {}
    for setting in settings:
        if texts.get(setting.name) == ():  # its file has a fault, and one is enough
            continue
        if setting.required and not texts.get(setting.name) and _is_at_fault(setting.name, prefix, faults):
            continue
        value, unfit = _value(setting, texts.get(setting.name) or ((setting.default,) if setting.default else ()))
        if not unfit:
            values[setting.name] = value
        variable = f"{prefix}{setting.name}"
        example = f"For example: {variable}={setting.example}"
        faults += [Fault(variable, each.problem, each.remedy or example) for each in unfit]
    return values


def _is_at_fault(name: str, prefix: str, faults: Iterable[Fault]) -> bool:
    """Whether a setting is there, and reported already for what is wrong with it: its type, or a slip in its name."""
    told = (fault for fault in faults if fault.variable.startswith(prefix))
    return any(fault.variable == f"{prefix}{name}" or fault.remedy == did_you_mean(name) for fault in told)


def _value(setting: Setting, items: tuple[str, ...]) -> tuple[Any, list[InvalidValue]]:
    """Return the value of a setting's texts, and everything that is wrong with them."""
    if setting.required and not items:
        return None, [InvalidValue("is not set", f"{setting.help} For example: {setting.example}")]
    if len(items) > 1 and not setting.many:
        return None, [InvalidValue("is a list, but takes one value")]
    parsed, unfit = [], []
    for place, item in enumerate(items, start=1):
        try:
            parsed.append(setting.parse(item))
        except InvalidValue as error:
            entry = f"entry {place} " if len(items) > 1 else ""
            unfit.append(InvalidValue(f"{entry}{error.problem}", error.remedy))
    return tuple(parsed) if setting.many else next(iter(parsed), None), unfit
