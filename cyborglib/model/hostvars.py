"""What anybody who may write a client or repository may say of how its host is worked on: nothing that runs here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import Invalid
from .fields import check_account, shown
from .variables import Variables

#: Their names, and what each means.
HOST_VARIABLES = {
    "interpreter": "the path of Python on the host, where `python3` is not the right one",
    "become_method": "sudo or su",
    "become_user": "the account to become, root unless given",
}
#: Those that ansible-core brings along.
_METHODS = ("sudo", "su")
_INTERPRETER = re.compile(r"/[A-Za-z0-9._/+-]{1,250}")


def as_host_variables(what: str, values: Mapping[str, Any] | None, otherwise: str = "") -> Variables:
    """The variables of the field of this name. Raises `Invalid`; `otherwise` says what takes other ones."""
    variables = values if isinstance(values, Variables) else Variables(values, what=what)
    for name, value in variables.items():
        if name not in HOST_VARIABLES:
            raise Invalid(
                f"{what}: {name!r} is not taken; known are {', '.join(HOST_VARIABLES)}{otherwise}"
            )
        if not isinstance(value, str):
            raise Invalid(f"{what}: {name} must be a text, not {shown(value)}")
        if name == "become_method" and value not in _METHODS:
            raise Invalid(f"{what}: become_method {shown(value)} is not known; choose one of {', '.join(_METHODS)}")
        if name == "become_user":
            check_account(f"{what}: become_user", value)
        if name == "interpreter" and not _INTERPRETER.fullmatch(value):
            raise Invalid(
                f"{what}: interpreter {shown(value)} must be the full path of Python, like /usr/bin/python3"
            )
    return variables
