# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a task's arguments against an argument spec.

Ansible's own validator copies the whole spec deeply each time, which costs more than all else that an action does on
the controller. This one knows what the specs here hold: type, elements, required, default, choices.
"""

from __future__ import annotations

import re

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_list,
    check_type_path,
    check_type_str,
)
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

_TYPES = {
    "str": check_type_str,
    "int": check_type_int,
    "float": check_type_float,
    "bool": check_type_bool,
    # Ansible takes "a,b" for two: here a path may hold a comma.
    "list": lambda value: [value] if isinstance(value, (str, dict)) else check_type_list(value),
    "dict": check_type_dict,
    "path": check_type_path,
    "raw": lambda value: value,
}


#: As which bytes that are not UTF-8 come from the library, and what stands before such a letter that is meant
#: (cyborglib/ansible/texts.py): Ansible refuses a whole inventory because of one half character.
_CARRIED = re.compile("\U0010f800([\U0010f000-\U0010f800])|([\U0010f000-\U0010f7ff])")


def delivered(value):
    """A value from the library in which each text, at any depth, is again what it was."""
    if isinstance(value, str):
        if not _CARRIED.search(value):
            return value
        return _CARRIED.sub(lambda found: found[1] or chr(ord(found[2]) - 0x10F000 + 0xD800), value)
    if isinstance(value, dict):
        return {delivered(key): delivered(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [delivered(item) for item in value]
    return value


def showable(value):
    """A value for Ansible, which takes no half characters: they are shown escaped."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {showable(key): showable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [showable(item) for item in value]
    return value


def validated(given, spec):
    """The arguments with their types and defaults. Raises `Failure` (``bad_arguments``), naming what is wrong."""
    unknown = sorted(set(given) - set(spec))
    if unknown:
        raise Failure("bad_arguments", "%s is not taken; known are %s." % (unknown[0], ", ".join(sorted(spec))))
    found = {}
    for name, about in spec.items():
        value = given.get(name)
        if value is None:
            if about.get("required"):
                raise Failure("bad_arguments", "%s is missing." % name)
            found[name] = about.get("default")
            continue
        found[name] = _typed(name, value, about)
        choices = about.get("choices")
        if choices and found[name] not in choices:
            raise Failure("bad_arguments", "%s is %r; choose one of %s." % (name, value, ", ".join(choices)))
    return found


def _typed(name, value, about):
    kind, elements = about.get("type", "str"), about.get("elements")
    try:
        typed = _TYPES[kind](value)
        return [_TYPES[elements](item) for item in typed] if kind == "list" and elements else typed
    except (TypeError, ValueError) as problem:
        shown = "a secret" if about.get("no_log") else "%r" % (value,)
        raise Failure("bad_arguments", "%s is %s, which is not of the type %s." % (name, shown, kind)) from problem
