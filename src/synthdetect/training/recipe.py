"""A recipe: everything that decides how a detector is trained, in one TOML file."""

import dataclasses
import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from synthdetect.errors import RecipeError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import view_from_dict, view_to_dict
from synthdetect.members.backbones import BackboneMember, Schedule, sizes_seen
from synthdetect.members.base import DETECTOR_NAME, MEMBER_NAME
from synthdetect.members.registry import KINDS, AnyMember, member_type
from synthdetect.training.decide import DecisionPlan

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a detector is trained.

    Parameters
    ----------
    name : str
        Of the bundle that it makes.
    members : tuple of members
        Each with its own view and schedule.
    augmentation : Augmentation
        The same for both classes, and for every member that has none of its own.
    seed : int
    pairs : tuple of (str, str)
        A real and a synthetic source that share crop, size and history: measured on their own.
    cascade : tuple of str
        Members that a cascade asks first, in this order; it asks all others at the end. Empty for
        none.
    decision : DecisionPlan
        How they are joined.

    Raises
    ------
    RecipeError
        If a name, the seed, the members or the pairs cannot be used.
    """

    name: str = "detector"
    members: tuple[AnyMember, ...]
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    pairs: tuple[tuple[str, str], ...] = ()
    cascade: tuple[str, ...] = ()
    decision: DecisionPlan = field(default_factory=DecisionPlan)

    def __post_init__(self) -> None:
        if not DETECTOR_NAME.fullmatch(self.name):
            raise RecipeError(
                f"name is {self.name!r}; use 1 to 64 letters, digits, '.', '-' and '_', "
                "a letter or digit first"
            )
        if not 0 <= self.seed < 2**32:
            raise RecipeError(f"seed is {self.seed}; use a whole number, 0 to {2**32 - 1}")
        if not all(_is_pair(pair) for pair in self.pairs):
            raise RecipeError(
                f'pairs is {self.pairs}; write pairs = [["real source", "synthetic source"]]'
            )
        if not self.members:
            raise RecipeError("the recipe has no [[members]]; give at least one")
        for member in self.members:
            if not isinstance(member, AnyMember):
                raise RecipeError(
                    f"members has {member!r}; use MobileNetV2(), SpectralMember() and the like"
                )
            # "ensemble" is the row of all members together in every report.
            if not MEMBER_NAME.fullmatch(member.name) or member.name == "ensemble":
                raise RecipeError(
                    f"member name is {member.name!r}; use 1 to 64 of a-z, 0-9, '-' and '_', "
                    "a letter or digit first, and not 'ensemble'"
                )
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise RecipeError(f"two members share a name in {names}; give each its own")
        _check_teachers(self.members)
        _check_cascade(self.cascade, names)


def read_recipe(path: str | Path, *, weights_dir: str | Path | None = None) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path : str or Path
        A TOML file.
    weights_dir : str or Path, optional
        Where files named by `weights` are looked for, after the recipe's own folder.

    Returns
    -------
    recipe : Recipe

    Raises
    ------
    RecipeError
        If the file is not TOML, or has a key, a member kind or a value that is not known; the
        message gives the nearest valid names.
    """
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{file}: not a readable recipe ({error})") from error
    folders = [file.parent, *([Path(weights_dir)] if weights_dir else [])]
    try:
        return _recipe(table, folders)
    except RecipeError as error:
        raise RecipeError(f"{file}: {error}") from error


def member_options(member: AnyMember) -> dict[str, Any]:
    """Return a member's options as JSON-ready values, weights by file name."""
    options = dataclasses.asdict(member) | {"kind": member.kind}
    options["view"] = view_to_dict(member.view)
    if member.augmentation is None:
        del options["augmentation"]
    if options.get("weights"):
        options["weights"] = Path(options["weights"]).name
    return options


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON-ready values."""
    told = {
        "name": recipe.name,
        "seed": recipe.seed,
        "pairs": [list(pair) for pair in recipe.pairs],
        "cascade": list(recipe.cascade),
        "augmentation": dataclasses.asdict(recipe.augmentation),
        "members": [member_options(member) for member in recipe.members],
    }
    if recipe.decision != DecisionPlan():
        told["decision"] = dataclasses.asdict(recipe.decision)
    return told


def augmentation_of(member: AnyMember, recipe: Recipe) -> Augmentation:
    """Return what the training images of a member go through."""
    return member.augmentation or recipe.augmentation


def member_hash(member: AnyMember, recipe: Recipe, data_sha256: str) -> str:
    """Return the SHA-256 of all that decides how a member comes out; its view chooses the epoch."""
    teacher = teacher_of(member, recipe)
    facts = {
        "teacher": teacher and member_hash(teacher, recipe, data_sha256),
        "member": member_options(dataclasses.replace(member, augmentation=None)),
        "augmentation": augmentation_of(member, recipe).facts(),
        "seed": recipe.seed,
        "data": data_sha256,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def teacher_of(member: AnyMember, recipe: Recipe) -> BackboneMember | None:
    """Return the member of the recipe that `member` learns from, if it names one."""
    wanted = member.teacher if isinstance(member, BackboneMember) else ""
    return next((m for m in recipe.members if m.name == wanted), None)  # type: ignore[return-value]


def only_members(recipe: Recipe, names: Iterable[str]) -> Recipe:
    """Return the recipe with these members and their teachers alone, in its order.

    Raises
    ------
    RecipeError
        If it has no member of a name, or there is no name.
    """
    known = {member.name: member for member in recipe.members}
    wanted: set[str] = set()
    for name in names:
        if name not in known:
            raise RecipeError(f"there is no member {name!r}; {_nearest(name, known)}")
        member: AnyMember | None = known[name]
        while member is not None:
            wanted.add(member.name)
            member = teacher_of(member, recipe)
    chosen = tuple(member for member in recipe.members if member.name in wanted)
    return dataclasses.replace(recipe, members=chosen, cascade=())


def _check_teachers(members: Iterable[AnyMember]) -> None:
    """Raise RecipeError unless each teacher is a network before its pupil and can see its crops."""
    earlier: dict[str, BackboneMember] = {}
    for member in members:
        if not isinstance(member, BackboneMember):
            continue
        if member.teacher and member.teacher not in earlier:
            raise RecipeError(
                f"member {member.name}: teacher is {member.teacher!r}, no network that comes "
                f"before it; those are {', '.join(earlier) or 'none'}"
            )
        if member.teacher:
            _check_sizes(member, earlier[member.teacher])
        earlier[member.name] = member


def _check_sizes(pupil: BackboneMember, teacher: BackboneMember) -> None:
    sizes = sizes_seen(teacher)
    for crop in pupil.schedule.crops:
        if crop not in sizes:
            raise RecipeError(
                f"member {pupil.name}: its crops of {crop} px are too small for its "
                f"teacher {teacher.name}, or that takes one size only; use crops of "
                f"{sizes[0]} px, or a teacher of whole pictures (view resize)"
            )


def _check_cascade(cascade: tuple[str, ...], names: list[str]) -> None:
    """Raise RecipeError unless a cascade asks some of two members or more, each once."""
    for name in cascade:
        if name not in names:
            raise RecipeError(f"cascade: there is no member {name!r}; {_nearest(str(name), names)}")
    if cascade and (len(set(cascade)) < len(cascade) or len(names) < 2):
        raise RecipeError(
            f"cascade is {list(cascade)}; name some of at least two members, each once, in the "
            "order in which they are asked"
        )


def _recipe(table: dict[str, Any], folders: list[Path]) -> Recipe:
    _check_keys(table, [f.name for f in dataclasses.fields(Recipe)], where="recipe")
    members = table.pop("members", [])
    if not isinstance(members, list):
        raise RecipeError("members must be tables: write [[members]] for each")
    options = dict(table)
    if "augmentation" in options:
        options["augmentation"] = _build(Augmentation, options["augmentation"], "augmentation")
    if "decision" in options:
        options["decision"] = _decision(options["decision"])
    shared = table.get("augmentation", {})
    options["members"] = tuple(_member(member, folders, shared) for member in members)
    return _build(Recipe, options, "recipe")


def _decision(table: Any) -> DecisionPlan:
    if not isinstance(table, dict):
        raise RecipeError(f"decision is {table!r}; write a table [decision]")
    options = dict(table)
    if "augmentation" in options:
        where = "decision, augmentation"
        options["augmentation"] = _build(Augmentation, options["augmentation"], where)
    return _build(DecisionPlan, options, "decision")


def _member(table: Any, folders: list[Path], shared: Mapping[str, Any]) -> AnyMember:
    """Make a member; what its own augmentation does not say is as in that of the recipe."""
    if not isinstance(table, dict):
        raise RecipeError(f"members has {table!r}; write [[members]] for each")
    options = dict(table)
    kind = options.get("kind")
    if kind not in KINDS:
        raise RecipeError(f"member kind {kind!r} is not known; {_nearest(str(kind), KINDS)}")
    cls = member_type(kind)
    if "kind" not in _field_names(cls):
        options.pop("kind")
    if not isinstance(options.setdefault("name", kind.lower()), str):
        raise RecipeError(f"member name is {options['name']!r}; use text")
    where = f"member {options['name']}"
    if "view" in options:
        if not isinstance(options["view"], dict):
            raise RecipeError(f"{where}: view is {options['view']!r}; write a table")
        try:
            options["view"] = view_from_dict(options["view"])
        except ValueError as error:
            raise RecipeError(f"{where}: {error}") from error
    own = options.get("augmentation")
    if isinstance(own, dict):
        where_drawn = f"{where}, augmentation"
        options["augmentation"] = _build(Augmentation, {**shared, **own}, where_drawn)
    elif own is not None:
        raise RecipeError(f"{where}: augmentation is {own!r}; write a table")
    if "schedule" in options:
        options["schedule"] = _build(Schedule, options["schedule"], f"{where}, schedule")
    if "weights" in options:
        options["weights"] = _find_weights(options["weights"], folders, where)
    return _build(cls, options, where)


def _find_weights(weights: Any, folders: list[Path], where: str) -> str | None:
    if not isinstance(weights, str):
        raise RecipeError(f"{where}: weights is {weights!r}; use text, a file name for example")
    if weights == "none":
        return None
    if weights == "imagenet":
        return weights
    for folder in folders:
        if (folder / weights).is_file():
            return str(folder / weights)
    raise RecipeError(
        f"{where}: weights {weights!r} are in none of {', '.join(map(str, folders))}; name their "
        "folder with --weights, or use 'imagenet' (downloaded by Keras) or 'none'"
    )


def _build(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Make a dataclass of a table whose keys and types must fit its fields."""
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where} is {table!r}; write a table")
    _check_keys(table, _field_names(cls), where=where)
    options = {key: _as_tuple(value) for key, value in table.items()}
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key, value in options.items():
        _check_type(value, defaults[key], where=f"{where}: {key}")
    try:
        return cls(**options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value


def _check_type(value: Any, default: Any, *, where: str) -> None:
    """Compare with the type of the default, and of its items; an int stands for a float."""
    if default is not dataclasses.MISSING and not _is_like(value, default):
        raise RecipeError(f"{where} is {value!r}; use a value like {default!r}")


def _is_like(value: Any, default: Any) -> bool:
    if value is None or default is None or default == ():
        return value is None or default is None or isinstance(value, tuple)
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(_is_like(item, default[0]) for item in value)
    kinds = (int, float) if isinstance(default, float) else type(default)
    return isinstance(value, bool) == isinstance(default, bool) and isinstance(value, kinds)


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
    )


def _field_names(cls: type) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)]


def _check_keys(table: Mapping[str, Any], known: Iterable[str], *, where: str) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            raise RecipeError(f"{where}: key {key!r} is not known; {_nearest(key, known)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    folded = {name.lower(): name for name in known}
    close = [folded[name] for name in difflib.get_close_matches(word.lower(), folded, n=3)]
    return f"did you mean {' or '.join(close)}?" if close else f"use one of {', '.join(known)}"
