"""Recipes: one file decides all, and what it gets wrong is named."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from synthdetect.errors import RecipeError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import CenterCrop, Crops, Resize
from synthdetect.members.backbones import MobileNetV2, Schedule, Sequential, Xception
from synthdetect.members.registry import KINDS
from synthdetect.members.spectrum import SpectralMember
from synthdetect.training.decide import DecisionPlan
from synthdetect.training.recipe import (
    Recipe,
    augmentation_of,
    member_hash,
    only_members,
    read_recipe,
    recipe_to_dict,
)

WHOLE = """
name = "mine"
seed = 7
pairs = [["camera", "gan"]]

[augmentation]
flip = 0.5
jpeg = 1
jpeg_quality = [50, 90]

[[members]]
kind = "MobileNetV2"
name = "net"
view = { kind = "center_crop", size = 96 }
weights = "start.weights.h5"
dropout = 0.1

[members.schedule]
epochs = 4
crops = [48, 64]
learning_rate = 1e-3

[[members]]
kind = "spectral"
copies = 1
"""


@pytest.fixture
def recipe_file(tmp_path):
    def write(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


def test_whole_recipe_is_read(recipe_file, tmp_path):
    (tmp_path / "weights").mkdir()
    start = tmp_path / "weights" / "start.weights.h5"
    start.write_bytes(b"")
    recipe = read_recipe(recipe_file(WHOLE), weights_dir=start.parent)
    assert recipe == Recipe(
        name="mine",
        seed=7,
        pairs=(("camera", "gan"),),
        augmentation=Augmentation(flip=0.5, jpeg=1, jpeg_quality=(50, 90)),
        members=(
            MobileNetV2(
                name="net",
                view=CenterCrop(96),
                weights=str(start),
                dropout=0.1,
                schedule=Schedule(epochs=4, crops=(48, 64), learning_rate=1e-3),
            ),
            SpectralMember(copies=1),
        ),
    )


def test_description_is_plain_and_names_weights_without_their_folder(recipe_file, tmp_path):
    (tmp_path / "start.weights.h5").write_bytes(b"")
    description = recipe_to_dict(read_recipe(recipe_file(WHOLE)))
    assert description["members"][0]["weights"] == "start.weights.h5"
    assert description["members"][0]["view"] == {"kind": "center_crop", "size": 96}
    assert description["members"][1]["kind"] == "spectral"
    assert description["augmentation"]["jpeg_quality"] == (50, 90)


def test_a_recipe_may_have_a_byte_order_mark(recipe_file):
    assert read_recipe(recipe_file('\ufeff[[members]]\nkind = "spectral"')).members


def test_a_teacher_must_be_able_to_see_its_pupil_s_crops():
    pupil = MobileNetV2(
        name="pupil", weights=None, teacher="teacher", schedule=Schedule(crops=(64, 96))
    )
    only_96 = {"view": CenterCrop(96), "schedule": Schedule(crops=(96,))}
    fixed = Sequential(name="teacher", weights=None, head="study", **only_96)
    with pytest.raises(RecipeError, match=r"pupil: its crops of 64 px .* use crops of 96 px"):
        Recipe(members=(fixed, pupil))
    large = Xception(name="teacher", weights=None, schedule=Schedule(crops=(96,)))
    with pytest.raises(RecipeError, match="use crops of 71 px, or a teacher of whole pictures"):
        Recipe(members=(large, pupil))
    for good in (
        Sequential(name="teacher", weights=None, head="study", **only_96 | {"view": Resize(96)}),
        Sequential(name="teacher", weights=None),
    ):
        assert Recipe(members=(good, pupil)).members[1].teacher == "teacher"


@pytest.mark.parametrize(("text", "weights"), [("none", None), ("imagenet", "imagenet")])
def test_weights_by_word(recipe_file, text, weights):
    recipe = read_recipe(recipe_file(f'[[members]]\nkind = "MobileNetV2"\nweights = "{text}"'))
    assert recipe.members[0].weights == weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("members = 3", "write \\[\\[members\\]\\]"),
        ("name = 'x'", "no \\[\\[members\\]\\]"),
        ("nmae = 'x'\n[[members]]\nkind='spectral'", "'nmae' is not known; did you mean name"),
        ("[[members]]\nkind = 'MobilNetV2'", "'MobilNetV2' is not known; did you mean MobileNetV2"),
        ("[[members]]\nname = 'x'", "kind None is not known; use one of Sequential, MobileNetV2"),
        ("[[members]]\nkind='spectral'\ncopys=1", "member spectral: key 'copys'.*copies"),
        ("[[members]]\nkind='spectral'\ncopies='1'", "copies is '1'; use a value like 3"),
        ("[[members]]\nkind='spectral'\ncopies=true", "copies is True"),
        ("[[members]]\nkind='spectral'\nview={kind='crop', size=4}", "view kind 'crop'"),
        ("[[members]]\nkind='MobileNetV2'\nweights='gone.h5'", "'gone.h5' are in none of"),
        (
            "[[members]]\nkind='MobileNetV2'\nweights='none'\n[members.schedule]\nepoch=3",
            "schedule: key 'epoch' is not known; did you mean epochs",
        ),
        (
            "[[members]]\nkind='MobileNetV2'\nweights='none'\n[members.schedule]\nepochs=3",
            "use a multiple of 2, the number of crops",
        ),
        ("[augmentation]\nflip=2\n[[members]]\nkind='spectral'", "flip is 2; use 0 to 1"),
        ("augmentation=1\n[[members]]\nkind='spectral'", "augmentation is 1; write a table"),
        ("[[members]]\nkind='spectral'\n[[members]]\nkind='spectral'", "two members share a name"),
        ("pairs=[['a']]\n[[members]]\nkind='spectral'", "write pairs ="),
        ("seed=", "not a readable recipe"),
        ("seed=4294967296\n[[members]]\nkind='spectral'", "seed is 4294967296; use a whole number"),
        ("[[members]]\nkind='spectral'\nname=5", "member name is 5; use text"),
        ("[[members]]\nkind='spectral'\nview={kind='crops', n=1}", "crops: size is missing"),
        (
            "[[members]]\nkind='MobileNetV2'\nweights='none'\n[members.schedule]\nmixup=inf",
            "mixup is inf; use 0 or more",
        ),
        (
            "[[members]]\nkind='MobileNetV2'\nweights='none'\n"
            "[members.schedule]\nlearning_rate=inf",
            "learning_rate is inf",
        ),
    ],
)
def test_bad_recipes_name_file_key_and_way_out(recipe_file, text, message):
    path = recipe_file(text)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(str(path))


def test_recipe_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="not a readable recipe"):
        read_recipe(tmp_path / "none.toml")


JOINED = """
[decision]
calibrator = "platt"
copies = 2

[decision.augmentation]
jpeg = 1

[[members]]
kind = "spectral"
"""


def test_a_recipe_says_how_members_are_joined(recipe_file):
    recipe = read_recipe(recipe_file(JOINED))
    assert recipe.decision == DecisionPlan(
        calibrator="platt", copies=2, augmentation=Augmentation(jpeg=1)
    )
    assert recipe_to_dict(recipe)["decision"]["augmentation"]["jpeg"] == 1


OWN = """
[augmentation]
jpeg = 0.5
webp = 0.25

[[members]]
kind = "spectral"

[[members]]
kind = "MobileNetV2"
weights = "none"

[members.augmentation]
webp = 0.0
crop = 0.5
"""


def test_a_member_may_have_an_augmentation_that_differs_from_the_others(recipe_file):
    recipe = read_recipe(recipe_file(OWN))
    shared, own = (augmentation_of(member, recipe) for member in recipe.members)
    assert shared == recipe.augmentation == Augmentation(jpeg=0.5, webp=0.25)
    assert own == Augmentation(jpeg=0.5, crop=0.5)
    assert "augmentation" not in recipe_to_dict(recipe)["members"][0]
    assert recipe_to_dict(recipe)["members"][1]["augmentation"]["crop"] == 0.5


def test_a_member_hashes_by_what_it_goes_through_wherever_that_is_said(recipe_file):
    recipe = read_recipe(recipe_file(OWN))
    member = recipe.members[1]
    plain = dataclasses.replace(member, augmentation=None)
    said_for_all = Recipe(members=(plain,), augmentation=member.augmentation)
    assert member_hash(member, recipe, "") == member_hash(plain, said_for_all, "")
    assert member_hash(member, recipe, "") != member_hash(plain, recipe, "")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("{ crops = 0.5 }", "member spectral, augmentation: key 'crops' is not known"),
        ("{ crop = 2.0 }", "crop is 2.0; use 0 to 1"),
        ("true", "member spectral: augmentation is True; write a table"),
    ],
)
def test_an_impossible_augmentation_of_a_member_is_named(recipe_file, own, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe(recipe_file(f'[[members]]\nkind = "spectral"\naugmentation = {own}\n'))


def test_how_members_are_joined_does_not_train_them_again(recipe_file):
    recipe = read_recipe(recipe_file(JOINED))
    plain = dataclasses.replace(recipe, decision=DecisionPlan())
    assert member_hash(recipe.members[0], recipe, "") == member_hash(plain.members[0], plain, "")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("copy = 1", "decision: key 'copy' is not known; did you mean copies"),
        ('combiner = "vote"', "decision: combiner is 'vote'; use one of soft-vote"),
        ("copies = 1.5", "decision: copies is 1.5"),
        ("augmentation = { jpg = 1 }", "decision, augmentation: key 'jpg' is not known"),
    ],
)
def test_an_impossible_way_to_join_them_is_named(recipe_file, table, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe(recipe_file(f'[decision]\n{table}\n[[members]]\nkind = "spectral"\n'))


def test_hash_follows_what_decides_the_training_and_nothing_else():
    member = MobileNetV2(weights=None)
    recipe = Recipe(members=(member,))
    first = member_hash(member, recipe, "data")
    same = member_hash(member, dataclasses.replace(recipe, name="other"), "data")
    different = [
        member_hash(dataclasses.replace(member, view=Crops(5, 160)), recipe, "data"),
        member_hash(dataclasses.replace(member, schedule=Schedule(epochs=2)), recipe, "data"),
        member_hash(member, dataclasses.replace(recipe, seed=1), "data"),
        member_hash(member, dataclasses.replace(recipe, augmentation=Augmentation(flip=0)), "data"),
        member_hash(member, recipe, "other data"),
    ]
    assert same == first
    assert len({first, *different}) == 6
    spectral = SpectralMember()
    other_view = dataclasses.replace(spectral, view=CenterCrop(128))
    assert member_hash(spectral, recipe, "") != member_hash(other_view, recipe, "")


RECIPES = Path(__file__).parents[1] / "recipes"
RECIPE_FILES = sorted({*RECIPES.glob("*.toml")} - {*RECIPES.glob("*.card.toml")})
WEIGHTS = RECIPES.parent.parent / "shared" / "weights"


@pytest.mark.parametrize("path", RECIPE_FILES, ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path, tmp_path):
    weights = WEIGHTS
    if not WEIGHTS.is_dir():
        # Files of weights do not come along: what else a recipe says can be checked without.
        weights = tmp_path
        (tmp_path / "mobilenet_v2_imagenet_notop.weights.h5").touch()
    recipe = read_recipe(path, weights_dir=weights)
    assert recipe.name == path.stem


def test_there_is_a_recipe_for_every_kind():
    text = (RECIPES / "members.toml").read_text(encoding="utf-8")
    assert {member["kind"] for member in tomllib.loads(text)["members"]} == {*KINDS}


def test_some_members_come_with_their_teachers_in_order_and_hash_the_same():
    nets = [
        MobileNetV2(name="a", weights=None),
        MobileNetV2(name="b", weights=None, teacher="a"),
        MobileNetV2(name="c", weights=None, teacher="b"),
    ]
    recipe = Recipe(members=(*nets, SpectralMember()))
    part = only_members(recipe, ["c"])
    assert [member.name for member in part.members] == ["a", "b", "c"]
    assert member_hash(nets[2], part, "x") == member_hash(nets[2], recipe, "x")
    assert [m.name for m in only_members(recipe, ["spectral", "a"]).members] == ["a", "spectral"]
    with pytest.raises(RecipeError, match="there is no member 'spectra'; did you mean spectral"):
        only_members(recipe, ["spectra"])
    with pytest.raises(RecipeError, match="has no"):
        only_members(recipe, [])
