"""Pins the synthetic scenes: deterministic, labelled by rule, continuous, overlapping in labels.

Leaves open whether they are pretty and how hard they are to learn; the trained bundle's mean
average precision on held-out scenes tells the latter.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from polymorph_ros.data.synthetic import (
    PLACES,
    SPLITS,
    SYNTHETIC_LABELS,
    SyntheticFrame,
    make_sequence,
)
from polymorph_ros.data.synthetic.camera import View
from polymorph_ros.data.synthetic.objects import KINDS, Layer
from polymorph_ros.data.synthetic.render import ABSENT, PRESENT, UNKNOWN, look
from polymorph_ros.data.synthetic.thing import Thing, draw_looks
from polymorph_ros.errors import PolymorphError

ASPECT = 4 / 3
AHEAD = View(x=0.0, y=0.5, zoom=1.0, roll=0.0)


def thing(label: str, x: float, *, height: float = 0.5, base: float = 0.8) -> Thing:
    return Thing(label, x, base, height, draw_looks(label, np.random.default_rng(3)))


def truth(*things: Thing, view: View = AHEAD) -> dict[str, int]:
    values = look(things, view, 0.0, ASPECT).truth
    return dict(zip(SYNTHETIC_LABELS, values.tolist(), strict=True))


@pytest.fixture(scope="module")
def many() -> list[SyntheticFrame]:
    """Frames of many short sequences, small: their truth is what is looked at."""
    return [
        frame
        for index in range(80)
        for frame in make_sequence(5, index=index, frames=12, hz=1.0, size=(32, 24)).frames()
    ]


def test_shapes_and_dtypes() -> None:
    sequence = make_sequence(1, frames=3, hz=10.0, size=(96, 72))
    frames = list(sequence.frames())
    assert len(frames) == len(sequence) == 3
    assert [frame.stamp_s for frame in frames] == [0.0, 0.1, 0.2]
    for frame in frames:
        assert frame.image.shape == (72, 96, 3)
        assert frame.image.dtype == np.uint8
        assert frame.truth.shape == (len(SYNTHETIC_LABELS),)
        assert frame.truth.dtype == np.int8
        assert set(frame.truth.tolist()) <= {PRESENT, ABSENT, UNKNOWN}
        assert frame.cells.shape == (90, 120)
        assert frame.cells.dtype == np.uint8
        seen = {SYNTHETIC_LABELS[cell - 1] for cell in np.unique(frame.cells) if cell}
        truths = dict(zip(SYNTHETIC_LABELS, frame.truth.tolist(), strict=True))
        assert seen == {label for label, value in truths.items() if value != ABSENT}
        assert frame.place in PLACES


def test_every_reading_gives_the_same_frames() -> None:
    sequence = make_sequence(4, index=2, frames=6, hz=0.5, visit_s=(2.0, 5.0))
    for first, second in zip(sequence.frames(), sequence.frames(), strict=True):
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.truth, second.truth)


def test_another_rate_shows_the_same_world_at_other_moments() -> None:
    fast = list(make_sequence(4, frames=21, hz=2.0, visit_s=(2.0, 4.0)).frames())
    slow = list(make_sequence(4, frames=11, hz=1.0, visit_s=(2.0, 4.0)).frames())
    for one, other in zip(fast[::2], slow, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.truth, other.truth)


def test_resolution_changes_neither_truth_nor_look() -> None:
    large = make_sequence(8, frames=8, hz=0.5, size=(640, 480), visit_s=(3.0, 6.0))
    small = make_sequence(8, frames=8, hz=0.5, size=(160, 120), visit_s=(3.0, 6.0))
    for one, other in zip(large.frames(), small.frames(), strict=True):
        np.testing.assert_array_equal(one.truth, other.truth)
        shrunk = one.image.reshape(120, 4, 160, 4, 3).mean(axis=(1, 3))
        # far below the difference between two scenes, which is above 40
        assert np.abs(shrunk - other.image).mean() < 12


def test_splits_seeds_and_indices_never_coincide() -> None:
    sequences = [
        make_sequence(seed, index=index, split=split, frames=2, hz=1.0, size=(64, 48))
        for split in SPLITS
        for seed in (0, 1)
        for index in (0, 1)
    ]
    seen = {next(iter(sequence.frames())).image.tobytes() for sequence in sequences}
    assert len(seen) == len(sequences)
    assert len({sequence.name for sequence in sequences}) == len(sequences)


@pytest.mark.parametrize(
    "wrong",
    [
        {"split": "training"},
        {"hz": 0.0},
        {"frames": -1},
        {"size": (8, 8)},
        {"index": -1},
        {"visit_s": (5.0, 2.0)},
        {"visit_s": (0.0, 2.0)},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PolymorphError):
        make_sequence(1, **{"frames": 1, **wrong})  # type: ignore[arg-type]


def test_a_whole_object_is_present_and_nothing_else_is() -> None:
    expected = dict.fromkeys(SYNTHETIC_LABELS, ABSENT) | {"fridge": PRESENT}
    assert truth(thing("fridge", 0.0)) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0.15, UNKNOWN), (0.3, UNKNOWN), (0.5, PRESENT), (0.8, PRESENT)]
)
def test_an_object_cut_by_the_border_counts_from_its_visible_share(
    share: float, expected: int
) -> None:
    # a fridge fills its box, so the share of its width is the share of its silhouette
    half = KINDS["fridge"].aspect * 0.5 / 2
    edge = ASPECT / 2
    assert truth(thing("fridge", edge + half - 2 * half * share))["fridge"] == expected


def test_an_object_out_of_sight_is_absent() -> None:
    assert truth(thing("fridge", 2.0))["fridge"] == ABSENT


@pytest.mark.parametrize(("shift", "expected"), [(0.0, ABSENT), (0.1, UNKNOWN), (0.2, PRESENT)])
def test_what_a_nearer_object_hides_does_not_count(shift: float, expected: int) -> None:
    behind, before = thing("fridge", shift), thing("fridge", 0.0, height=0.56, base=0.82)
    hidden = Thing("oven", shift, 0.8, 0.24, draw_looks("oven", np.random.default_rng(1)))
    assert truth(hidden, before)["oven"] == expected
    assert truth(behind, before)["fridge"] == PRESENT


def test_the_best_instance_decides() -> None:
    outside, inside = thing("fridge", ASPECT / 2 + 0.1), thing("fridge", 0.0)
    assert truth(outside)["fridge"] == UNKNOWN
    assert truth(outside, inside)["fridge"] == PRESENT
    assert truth(inside, outside)["fridge"] == PRESENT


def test_a_whole_but_tiny_object_is_unknown() -> None:
    assert truth(thing("mug", 0.0, height=0.06))["mug"] == UNKNOWN


def test_cells_show_the_nearest_label() -> None:
    behind, before = thing("fridge", 0.0), thing("mug", 0.0, height=0.2)
    cells = look((behind, before), AHEAD, 0.0, ASPECT).cells
    names = {0: "", **{index + 1: label for index, label in enumerate(SYNTHETIC_LABELS)}}
    assert cells.shape == (90, 120)
    assert names[int(cells[5, 5])] == ""  # the wall
    assert names[int(cells[round(0.45 * 90), 60])] == "fridge"
    assert names[int(cells[round(0.72 * 90), 60])] == "mug"
    assert {names[int(cell)] for cell in np.unique(cells)} == {"", "fridge", "mug"}


def test_zoom_and_roll_keep_a_central_object_present() -> None:
    for zoom in (0.8, 1.3):
        for roll in (-0.1, 0.1):
            assert truth(thing("cat", 0.0), view=View(0.0, 0.5, zoom, roll))["cat"] == PRESENT


def test_every_label_occurs_and_none_everywhere(many: list[SyntheticFrame]) -> None:
    rates = np.mean([frame.truth == PRESENT for frame in many], axis=0)
    assert len(SYNTHETIC_LABELS) >= 28
    assert {
        label for label, rate in zip(SYNTHETIC_LABELS, rates, strict=True) if rate == 0
    } == set()
    assert rates.max() < 0.6


def test_a_few_labels_are_seen_at_a_time(many: list[SyntheticFrame]) -> None:
    counts = [int((frame.truth == PRESENT).sum()) for frame in many]
    assert 2 <= np.mean(counts) <= 5
    assert np.mean([1 <= count <= 7 for count in counts]) > 0.95


def test_labels_appear_only_where_they_belong(many: list[SyntheticFrame]) -> None:
    for frame in many:
        seen = {SYNTHETIC_LABELS[index] for index in np.flatnonzero(frame.truth != ABSENT)}
        assert seen <= set(PLACES[frame.place].weights)


def test_places_overlap_but_differ() -> None:
    labels = {name: set(place.weights) for name, place in PLACES.items()}
    shared = {
        label for label in SYNTHETIC_LABELS if sum(label in own for own in labels.values()) > 1
    }
    assert len(PLACES) >= 7
    assert len(shared) >= 15
    assert len(SYNTHETIC_LABELS) - len(shared) >= 5
    for own in labels.values():
        assert own <= set(SYNTHETIC_LABELS)
        assert any(own & other and own != other for other in labels.values())


def test_neighbours_exist_and_every_place_can_be_reached() -> None:
    reached, grown = {"hallway"}, {"hallway"}
    while grown:
        grown = {name for place in grown for name in PLACES[place].neighbours} - reached
        reached |= grown
    assert reached == set(PLACES)


def test_indoor_places_have_something_to_put_on_their_counters() -> None:
    for place in PLACES.values():
        if place.room is not None:
            assert any(KINDS[label].layer is Layer.COUNTER for label in place.weights)


def test_labels_stay_for_seconds() -> None:
    hz, runs = 5.0, []
    for index in range(4):
        frames = make_sequence(6, index=index, frames=300, hz=hz, size=(32, 24)).frames()
        present = np.stack([frame.truth == PRESENT for frame in frames]).astype(int)
        for column in present.T:
            edges = np.diff(np.concatenate([[0], column, [0]]))
            runs += ((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)) / hz).tolist()
    assert len(runs) > 50
    assert 2.5 < np.mean(runs) < 15


def test_the_camera_moves_smoothly_inside_a_place() -> None:
    frames = list(make_sequence(9, frames=120, hz=10.0, visit_s=(4.0, 4.0)).frames())
    inside, across = [], []
    for one, other in pairwise(frames):
        change = float(np.abs(one.image.astype(int) - other.image).mean())
        (inside if one.place == other.place else across).append(change)
    assert len(across) == 2
    assert np.median(inside) < 0.5 * min(across)


def test_a_long_sequence_walks_through_neighbouring_places() -> None:
    frames = make_sequence(2, frames=60, hz=0.5, size=(32, 24), visit_s=(4.0, 8.0)).frames()
    places = [frame.place for frame in frames]
    assert len(set(places)) > 3
    for one, other in pairwise(places):
        assert one == other or other in PLACES[one].neighbours


@pytest.mark.parametrize("label", SYNTHETIC_LABELS)
def test_every_object_is_drawn_into_its_frame(label: str) -> None:
    looks = draw_looks(label, np.random.default_rng(0))
    alpha = looks.sprites[0][:, :, 3]
    colours = looks.sprites[0][:, :, :3]
    assert (colours <= alpha[:, :, None]).all()  # premultiplied
    assert looks.mask.mean() > 0.15
    # nothing is cut off at the sprite's border; the blur of an edge may reach it
    for border in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]):
        assert border.max() < 32


def test_instances_of_a_label_differ() -> None:
    rng = np.random.default_rng(0)
    for label in SYNTHETIC_LABELS:
        first, second = draw_looks(label, rng), draw_looks(label, rng)
        assert not np.array_equal(first.sprites[0], second.sprites[0])
