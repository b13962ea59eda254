"""Pins the vocabulary: names and ids both ways, and errors that help with a misspelt label."""

from __future__ import annotations

import pytest

from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError

NAMES = ("traffic_light", "tree", "mug")


def test_names_and_ids_are_each_others_inverse() -> None:
    vocabulary = Vocabulary(NAMES)
    assert len(vocabulary) == 3
    assert tuple(vocabulary) == NAMES
    for index, name in enumerate(NAMES):
        assert vocabulary.id_of(name) == index
        assert vocabulary.names[index] == name
        assert name in vocabulary
    assert vocabulary.ids_of(["mug", "tree"]) == (2, 1)
    assert "lamp" not in vocabulary


def test_a_list_becomes_immutable() -> None:
    names = list(NAMES)
    vocabulary = Vocabulary(names)  # type: ignore[arg-type]
    names.append("lamp")
    assert vocabulary == Vocabulary(NAMES)
    assert hash(vocabulary) == hash(Vocabulary(NAMES))


def test_a_misspelt_label_is_answered_with_the_likely_one() -> None:
    with pytest.raises(PolymorphError, match=r"'trafic_light'; did you mean traffic_light\?"):
        Vocabulary(NAMES).id_of("trafic_light")


def test_a_label_unlike_all_others_gets_no_guess() -> None:
    with pytest.raises(PolymorphError) as caught:
        Vocabulary(NAMES).id_of("submarine")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("names", [(), ("a", ""), ("a", " "), ("a", "b", "a")])
def test_a_bad_list_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(PolymorphError, match="vocabulary"):
        Vocabulary(names)
