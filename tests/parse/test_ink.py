"""What leaves ink, on pictures painted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.parse.ink import Boxes, Mask, Picture, ink, layers, legible, marked, overprinted


def paper(high: int = 20, wide: int = 40, shade: int = 255) -> Picture:
    return np.full((high, wide, 4), shade, np.uint8)


def boxes(*values: tuple[int, int, int, int]) -> Boxes:
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("colour", "seen"),
    [
        ((0, 0, 0), True), ((204, 204, 204), True), ((232, 232, 232), False),
        ((0, 255, 255), True), ((205, 255, 255), False),  # yellow, a pale one; blue comes first
        ((255, 255, 0), True), ((0, 0, 255), True),
    ],
)  # fmt: skip
def test_ink_is_what_a_reader_tells_from_paper(colour: tuple[int, int, int], seen: bool) -> None:
    drawn = paper()
    drawn[5, 7, :3] = colour
    found = ink(drawn, paper())
    assert found[5, 7] == seen
    assert found.sum() == seen


def painted(*where: tuple[slice, slice]) -> Mask:
    mask = np.zeros((20, 40), np.bool_)
    for at in where:
        mask[at] = True
    return mask


GLYPH = boxes((10, 4, 18, 16))


@pytest.mark.parametrize(
    ("mask", "seen"),
    [
        (painted((slice(4, 16), slice(10, 18))), True),
        (painted((slice(4, 16), slice(10, 11)), (slice(4, 5), slice(10, 18))), True),  # outlines
        (painted((slice(4, 5), slice(10, 18)), (slice(15, 16), slice(10, 18))), True),  # like "="
        (painted((slice(4, 11), slice(10, 18))), True),  # its upper half
        (painted((slice(4, 6), slice(10, 18))), False),  # a sliver
        (painted((slice(4, 16), slice(10, 12))), False),  # its neighbour's stroke
        (painted((slice(0, 4), slice(0, 40)), (slice(16, 20), slice(0, 40))), False),  # beside it
        (painted((slice(4, 5), slice(10, 11)), (slice(15, 16), slice(17, 18))), False),  # specks
        (painted(), False),
    ],
)
def test_a_glyph_is_legible_by_ink_all_over_its_own_box(mask: Mask, seen: bool) -> None:
    assert legible(mask, GLYPH).tolist() == [seen]


def test_a_glyph_of_a_pixel_is_legible_by_it() -> None:
    assert legible(painted((slice(3, 4), slice(3, 4))), boxes((3, 3, 4, 4))).tolist() == [True]


def test_glyphs_that_do_not_touch_are_one_layer() -> None:
    glyphs = boxes((0, 0, 5, 10), (6, 0, 11, 10), (0, 11, 5, 20))
    assert layers(glyphs, [0, 0, 1], "abc", 4) == [0, 0]


def test_what_lies_on_others_is_in_a_layer_of_its_own() -> None:
    glyphs = boxes((0, 0, 5, 10), (6, 0, 11, 10), (1, 1, 6, 11), (20, 0, 25, 10))
    assert layers(glyphs, [0, 0, 1, 2], "abcd", 4) == [0, 1, 0]


def test_the_same_drawn_twice_is_one() -> None:
    glyphs = boxes((0, 0, 5, 10), (6, 0, 11, 10), (1, 0, 6, 10), (7, 0, 12, 10))
    assert layers(glyphs, [0, 0, 1, 1], "abab", 4) == [0, 0]
    assert layers(glyphs, [0, 0, 1, 1], "abba", 4) == [0, 1]


def test_what_lies_too_deep_is_in_none() -> None:
    assert layers(boxes(*[(0, 0, 9, 9)] * 4), [0, 1, 2, 3], "abcd", 3) == [0, 1, 2, -1]


def test_a_heap_is_in_none() -> None:
    glyphs = boxes(*[(i, 0, 8 + i, 10) for i in range(6)])
    assert layers(glyphs, [0] * 6, "abcdef", 4) == [-1]
    apart = boxes(*[(6 * i, 0, 6 * i + 8, 10) for i in range(6)])
    assert layers(apart, [0] * 6, "abcdef", 4) == [0]


def test_glyphs_on_others_of_their_size_cannot_be_read() -> None:
    glyphs = boxes((0, 0, 8, 10), (1, 0, 9, 10), (20, 0, 28, 10), (0, 0, 90, 90), (0, 9, 8, 10))
    parts, seen = np.array([0, 1, 0, 2, 3]), np.ones(5, np.bool_)
    assert overprinted(glyphs, parts, seen).tolist() == [True, True, False, False, False]
    seen[1] = False  # white
    assert not overprinted(glyphs, parts, seen).any()
    assert not overprinted(glyphs, np.zeros(5, np.int64), ~np.zeros(5, np.bool_)).any()


WORD = (8, 6, 32, 14)


def letters(shade: int = 0) -> Picture:
    page = paper()
    for x in range(8, 32, 6):
        page[6:14, x : x + 2, :3] = shade
        page[6:14, x + 4 : x + 5, :3] = shade
    return page


def test_marks_have_the_shape_of_a_word() -> None:
    assert marked(letters(), WORD, 4) == (True, True)
    assert marked(255 - letters(), WORD, 4) == (True, True)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_plain_picture_has_no_marks(shade: int) -> None:
    assert marked(paper(shade=shade), WORD, 4) == (False, False)
    assert marked(letters(shade=230), WORD, 4) == (False, False)


def test_other_marks_have_another_shape() -> None:
    half = letters()
    half[:, 20:] = 255
    bar, rule, noise = paper(), paper(), paper()
    bar[6:14, 8:32] = 0
    rule[10, :] = 0
    noise[...] = np.random.default_rng(1).integers(0, 2, (20, 40, 1)) * 255
    for page in (half, bar, rule, noise):
        assert not marked(page, WORD, 4)[0]


def test_a_word_that_fills_the_picture_has_nothing_around_it() -> None:
    assert marked(letters(), (0, 0, 40, 20), 4) == (False, False)
