"""Where playbooks and roles lie, which policy types there are, and what each of them takes.

A policy type *is* a role called `policy_<type>`; its `meta/argument_specs.yml` is the only place that says what the
type takes. In the role an option is the variable `policy_<type>_<option>`; in a policy's `extra_vars` the prefix is
left off, and `role_variables` puts it back. Users add types of their own by a `roles_path`: folders that hold roles.

PyYAML and Ansible's validator are loaded when they are first needed, as they take a tenth of a second.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from .errors import Invalid, NotFound
from .model import Policy, Variables
from .model.variables import as_variables
from .optionvalues import TYPES, check_value
from .secret import Secret

__all__ = [
    "COLLECTION",
    "Option",
    "check_extra_vars",
    "check_policy",
    "check_restore",
    "collections_path",
    "drills",
    "loads",
    "playbook_path",
    "policy_types",
    "role",
    "role_name",
    "role_variables",
    "roles",
    "specs",
]

COLLECTION = "cyborg.backup"

#: Folders that hold roles, as in Ansible's `roles_path`; of two roles with one name the first is taken.
RolesPath = Sequence[str | Path]
#: Entry points of a policy type's role.
BACKUP, RESTORE, DRILL = "main", "restore", "drill"
#: Options by name, and the spec for Ansible's validator with those names.
Specs = tuple[Mapping[str, "Option"], Mapping[str, Any]]
#: The variable of the type `vm` that the library fills with what each client is called on its hypervisor.
MACHINE = "policy_vm_name"
#: Of an entry point that a role does not have.
NOTHING: Specs = (MappingProxyType({}), MappingProxyType({}))

_ROLE = re.compile(r"policy_([a-z][a-z0-9_]*)")
# C(code), V(value), O(option) … of Ansible's documentation.
_MARKUP = re.compile(r"\b[A-Z]\(([^()]*)\)")


@frozen
class Option:
    """One thing that a policy type takes in `extra_vars`, as its role's argument specs have it."""

    #: As in `extra_vars`: without the prefix `policy_<type>_`.
    name: str
    #: `str`, `list`, `dict`, `bool`, `int`, `float`, `path`, or `raw`: one or several, whatever they are.
    type: str = "str"
    #: What a list holds; "" if it holds anything.
    elements: str = ""
    required: bool = False
    #: None if there is none.
    default: Any = None
    #: Paragraphs of plain text.
    description: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    #: It is a password or the like (`no_log` in the specs).
    secret: bool = False


def collections_path() -> Path:
    """The folder to give Ansible as its collections path: it holds `ansible_collections/cyborg/backup`.

    Inside the package where that was installed from a wheel; else, in a checkout or an editable install, the
    folder `.ansible` of the checkout. Raises `NotFound` if the content is in neither place.
    """
    package = Path(__file__).resolve().parent
    for folder in (package, package.parent / ".ansible"):
        if (folder / "ansible_collections/cyborg/backup/galaxy.yml").is_file():
            return folder
    raise NotFound(
        f"the playbooks and roles of cyborglib are missing beside {package}; install it again from a wheel, or run it "
        "from a whole checkout (git has a symbolic link there: .ansible/ansible_collections/cyborg/backup)"
    )


def playbook_path(name: str) -> Path:
    """The file of one of our playbooks: `playbook_path("backup")`. Raises `NotFound`."""
    folder = _collection() / "playbooks"
    known = {path.stem: path for path in sorted(folder.glob("*.yml"))}
    if name not in known:
        raise NotFound(f"there is no playbook {name!r}{_nearest(name, known)}; there are: {', '.join(known)}")
    return known[name]


def roles(roles_path: RolesPath = ()) -> Mapping[str, Path]:
    """The policy types on offer, in order of name, and the folder of the role of each.

    Raises `Invalid` for a folder of `roles_path` that is none, and for a role there that has the name of ours.
    """
    found = _roles_in(_collection() / "roles")
    ours = set(found)
    for folder in _folders(roles_path):
        for name, path in _roles_in(folder).items():
            if name in ours:
                raise Invalid(f"the role {path} has the name of one of ours; rename it, and name that type in policies")
            found.setdefault(name, path)
    return MappingProxyType(dict(sorted(found.items())))


def policy_types(roles_path: RolesPath = ()) -> tuple[str, ...]:
    """The policy types on offer: ours and those of the roles in `roles_path`."""
    return tuple(roles(roles_path))


def role_name(type: str, roles_path: RolesPath = ()) -> str:
    """The role of a policy type as a playbook names it: `cyborg.backup.policy_config`, or a user's own `policy_redis`.

    Raises `Invalid` for a type that is not on offer.
    """
    ours = _role(type, roles_path).parent == _collection() / "roles"
    return f"{COLLECTION}.policy_{type}" if ours else f"policy_{type}"


def specs(type: str, roles_path: RolesPath = (), entry: str = BACKUP) -> Mapping[str, Option]:
    """What a policy type takes for its backups (or, with the entry point `restore`, to bring them back), in the order
    of its argument specs.

    Raises `Invalid` for a type that is not on offer, and for specs that cannot be read, naming their file.
    """
    return _specs(type, roles_path, entry)[0]


def loads(type: str, roles_path: RolesPath = ()) -> bool:
    """True if what a policy type makes is brought back by its own role: it has an entry point `restore`."""
    return _specs(type, roles_path, RESTORE) is not NOTHING


def drills(type: str, roles_path: RolesPath = ()) -> bool:
    """True if a policy type can do more than read what it made: its role has an entry point `drill`."""
    return _specs(type, roles_path, DRILL) is not NOTHING


def check_extra_vars(
    type: str,
    variables: Mapping[str, Any],
    roles_path: RolesPath = (),
    entry: str = BACKUP,
    *,
    whole: bool = True,
) -> Variables:
    """The variables as the role of a policy type takes them, checked against its argument specs.

    Ansible's own validator judges, after stricter rules of ours: nothing is read into a text that is not there. A
    text where a list is meant is a list of one, and is never split at commas. A path is absolute, and neither `~` nor
    `$` means anything in it. What is None is left out, so that the role's default holds. Secrets are not shown.

    Raises `Invalid` for names that the role does not declare, for missing ones (if they are to be `whole`), and for
    values it does not take.
    """
    options, argument_spec = _specs(type, roles_path, entry)
    made = f"of what a policy of type {type!r} made"
    whose = {BACKUP: f"a policy of type {type!r}", DRILL: f"the drill {made}"}.get(entry, f"the restore {made}")
    given = {name: value for name, value in as_variables(variables).plain().items() if value is not None}
    for name in given:
        if name not in options:
            bare = name.removeprefix(f"policy_{type}_")
            hint = f" (here it is called {bare!r})" if bare in options else _nearest(name, options)
            raise Invalid(f"{whose} takes no {name!r}{hint}. It takes: {', '.join(options) or 'nothing'}")
    for name, value in given.items():
        option = options[name]
        given[name] = check_value(name, value, option.type, option.elements, secret=option.secret)
    for name, option in options.items():
        if whole and option.required and given.get(name) in (None, "", [], {}):
            what = " ".join(option.description[:1])
            place = "extra_vars" if entry == BACKUP else "options"
            raise Invalid(f"{whose} needs {name!r} in its {place}{': ' if what else ''}{what}")
    if not whole:
        argument_spec = {name: {**spec, "required": False} for name, spec in argument_spec.items()}
    return Variables(_validated(whose, given, options, argument_spec))


def check_policy(policy: Policy, roles_path: RolesPath = ()) -> Policy:
    """A policy whose variables are checked, for all of its clients and for those that have some of their own.

    What a type must be given may be missing in `extra_vars` only if each client has it. Raises `Invalid`.
    """
    kind, own = policy.type, policy.client_extra_vars
    whole = not policy.clients or any(client not in own for client in policy.clients)
    shared = check_extra_vars(kind, policy.extra_vars, roles_path, whole=whole)
    each = {client: check_extra_vars(kind, values, roles_path, whole=False) for client, values in own.items()}
    checked = evolve(policy, extra_vars=shared, client_extra_vars=each)
    for client in each:
        check_extra_vars(kind, checked.variables_for(client), roles_path)
    options = policy.drill.options
    if options and not drills(kind, roles_path):
        raise Invalid(f"a drill of a policy of type {kind!r} takes no options: what it made is read and compared")
    if policy.drill.loads and drills(kind, roles_path):
        options = check_extra_vars(kind, options, roles_path, DRILL)
    return evolve(checked, drill=evolve(policy.drill, options=options))


def check_restore(
    type: str, options: Mapping[str, Any], policy_vars: Mapping[str, Any], roles_path: RolesPath = ()
) -> Variables:
    """The options of a restore, with what the policy says where its own type has an option of that name.

    Only an option of the entry point `restore` that has no default is taken from there: how a server is reached is the
    same both ways, what is asked for is not. Raises `Invalid` as `check_extra_vars` does.
    """
    known, makes = specs(type, roles_path, RESTORE), specs(type, roles_path)
    same = {
        name: policy_vars[name]
        for name, option in known.items()
        if option.default is None and name in makes and name in policy_vars
    }
    return check_extra_vars(type, {**same, **as_variables(options)}, roles_path, RESTORE)


def role_variables(type: str, extra_vars: Mapping[str, Any], names: Collection[str] | None = None) -> dict[str, Any]:
    """Checked `extra_vars` (or some of them) as the role's: `exclude` of a config policy is `policy_config_exclude`."""
    values = as_variables(extra_vars).plain().items()
    return {f"policy_{type}_{name}": value for name, value in values if names is None or name in names}


def role(
    type: str,
    variables: Mapping[str, Any],
    policy_vars: Mapping[str, Any] | None = None,
    *,
    drill: bool = False,
    roles_path: RolesPath = (),
) -> tuple[str, Mapping[str, Any], Mapping[str, Secret]]:
    """The role of a policy type, its variables, and those of them that are secrets.

    `policy_vars` are given for a restore, whose options are `variables`; for a `drill` these are its options. All is
    checked once more, as the policy may be of another type by now.
    """
    if drill:
        entry, checked = DRILL, check_extra_vars(type, variables, roles_path, DRILL)
    elif policy_vars is None:
        entry, checked = BACKUP, check_extra_vars(type, variables, roles_path)
    else:
        entry, checked = RESTORE, check_restore(type, variables, policy_vars, roles_path)
    hidden = {name for name, option in specs(type, roles_path, entry).items() if option.secret}
    secrets = {name: Secret(str(value)) for name, value in role_variables(type, checked, hidden).items()}
    return role_name(type, roles_path), role_variables(type, checked, checked.keys() - hidden), secrets


def _validated(
    whose: str, given: dict[str, Any], options: Mapping[str, Option], argument_spec: Mapping[str, Any]
) -> dict[str, Any]:
    """What Ansible's validator makes of the values. Raises `Invalid` with all that it has to say."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    result = ArgumentSpecValidator(dict(argument_spec)).validate(given)
    if result.error_messages:
        hidden = [name for name, option in options.items() if option.secret]
        said = "; ".join(result.error_messages)
        if any(name in given and str(given[name]) in said for name in hidden):
            said = f"one of {', '.join(hidden)} has a value that is not taken (not shown here, as it is secret)"
        raise Invalid(f"what {whose} is given cannot be used: {said}")
    return {name: result.validated_parameters[name] for name in given}


def _collection() -> Path:
    return collections_path() / "ansible_collections/cyborg/backup"


def _folders(roles_path: RolesPath) -> Iterable[Path]:
    for folder in (roles_path,) if isinstance(roles_path, str | Path) else roles_path:
        path = Path(folder).absolute()
        if not path.is_dir():
            raise Invalid(f"the roles path {str(path)!r} is not a folder; give the folder that holds your roles")
        yield path


def _roles_in(folder: Path) -> dict[str, Path]:
    found = {path: _ROLE.fullmatch(path.name) for path in sorted(folder.iterdir()) if path.is_dir()}
    return {name[1]: path for path, name in found.items() if name}


def _role(type: str, roles_path: RolesPath) -> Path:
    known = roles(roles_path)
    if type not in known:
        raise Invalid(
            f"the policy type {type!r} is not known{_nearest(type, known)}. There are: {', '.join(known)}; a type of "
            f"your own is a role policy_{type} in a folder of the roles path"
        )
    return known[type]


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _specs(type: str, roles_path: RolesPath, entry: str) -> Specs:
    role = _role(type, roles_path)
    names = ("argument_specs.yml", "argument_specs.yaml", "main.yml", "main.yaml")
    path = next((role / "meta" / name for name in names if (role / "meta" / name).is_file()), None)
    if path is None:
        raise Invalid(
            f"the role {role} has no meta/argument_specs.yml, so nobody knows what a policy of type {type!r} takes; "
            "write one (docs/roles.md shows how), with an empty 'options' if it takes nothing"
        )
    state = path.stat()
    return _read_specs(type, path, entry, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=64)  # by the file's state: launching for a thousand clients reads it once
def _read_specs(type: str, path: Path, point: str, _changed: int, _size: int) -> Specs:
    """The options by name, and the spec for Ansible's validator with those names. Raises `Invalid`."""
    import yaml

    try:
        data = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, OSError) as error:
        raise Invalid(f"the argument specs {path} cannot be read: {' '.join(str(error).split())}") from error
    entries: Any = data
    for key in ("argument_specs", point):
        if key in (RESTORE, DRILL) and isinstance(entries, Mapping) and key not in entries:
            return NOTHING
        entries = entries.get(key) if isinstance(entries, Mapping) else None
    entries = entries.get("options", {}) if isinstance(entries, Mapping) else entries
    if not isinstance(entries, Mapping):
        place = f"argument_specs.{point}.options"
        raise Invalid(f"the argument specs {path} have no mapping {place}; docs/roles.md shows one")
    prefix = f"policy_{type}_"
    options: dict[str, Option] = {}
    for variable, entry in entries.items():
        if isinstance(variable, str) and (variable.startswith("borg_") or variable == MACHINE):
            continue  # what all policy roles share, and no policy sets
        if not isinstance(variable, str) or not re.fullmatch(re.escape(prefix) + "[a-z][a-z0-9_]*", variable):
            raise Invalid(f"the argument specs {path} declare {variable!r}; the name of an option begins with {prefix}")
        name = variable.removeprefix(prefix)
        options[name] = _option(name, entry, f"the argument specs {path}, option {variable},")
    return MappingProxyType(options), MappingProxyType({name: _for_ansible(entries[prefix + name]) for name in options})


def _option(name: str, entry: Any, where: str) -> Option:
    if not isinstance(entry, Mapping):
        raise Invalid(f"{where} must be a mapping with 'type' and 'description'")
    kind, elements = entry.get("type", "str"), entry.get("elements", "")
    for each in (kind, elements or kind):
        if each not in TYPES:
            raise Invalid(f"{where} has the type {each!r}; there are: {', '.join(TYPES)}")
    if elements and kind != "list":
        raise Invalid(f"{where} has 'elements', which only a list has")
    choices = entry.get("choices") or []
    if not isinstance(choices, list):
        raise Invalid(f"{where} has 'choices' that are not a list")
    description = entry.get("description") or []
    texts = description if isinstance(description, list) else [description]
    if not all(isinstance(text, str) for text in texts):
        raise Invalid(f"{where} has a 'description' that is no text; quote what holds a colon and a blank")
    if entry.get("no_log") and kind not in ("str", "int", "float"):
        raise Invalid(f"{where} is secret (no_log) and of the type {kind!r}; a secret is one text or number")
    if entry.get("required") and entry.get("default") is not None:
        raise Invalid(f"{where} is required and has a default; it can be one of these only")
    try:
        frozen_values = Variables({"default": entry.get("default"), "choices": choices})
    except Invalid as error:
        raise Invalid(f"{where} cannot be used: {error}") from error
    return Option(
        name=name,
        type=kind,
        elements=elements,
        required=bool(entry.get("required", False)),
        default=frozen_values["default"],
        description=tuple(_MARKUP.sub(r"\1", text) for text in texts),
        choices=frozen_values["choices"],
        secret=bool(entry.get("no_log", False)),
    )


def _for_ansible(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an entry that Ansible's validator reads; paths are texts, as `~` is not this machine's home."""
    skipped = ("description", "version_added", "example", "default")
    kept = {key: value for key, value in entry.items() if key not in skipped}
    for key in ("type", "elements"):
        if kept.get(key) == "path":
            kept[key] = "str"
    return kept
