"""What a browser shows of a page is served, what it does not is recorded; bombs are refused."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragguard.errors import UnreadableError
from ragguard.parse.html import read_html
from tests.support.documents import MARK, SECRET, VISIBLE, is_recorded, is_recorded_among_others
from tests.support.hanging import ends


def test_visible_text_keeps_its_structure() -> None:
    page = """<!DOCTYPE html><html><head><title>T</title><style>p{color:#222}</style></head><body>
      <h1>Pumps</h1><p>First   line<br>second <b>bold</b>line.</p>
      <ul><li>one</li><li>two</li></ul>
      <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
      <h3>Code</h3><pre>if x:
    y  = 1</pre><script>alert(1)</script></body></html>"""
    text, hidden = read_html(page)
    assert text == (
        "# Pumps\n\nFirst line\nsecond boldline.\n\n- one\n- two\n\n"
        "a | b\n1 | 2\n\n### Code\n\nif x:\n    y  = 1"
    )
    assert hidden == ()


ELEMENTS = {
    "hidden": "<p hidden>{}</p>",
    "hidden until found": "<p hidden=until-found>{}</p>",
    "template": "<template><p>{}</p></template>",
    "noscript": "<noscript><p>{}</p></noscript>",
    "closed dialog": "<dialog>{}</dialog>",
    "popover": "<div popover>{}</div>",
    "suggestions": "<datalist><option>{}</option></datalist>",
    "canvas": "<canvas>{}</canvas>",
    "video": "<video>{}</video>",
    "audio": "<audio>{}</audio>",
    "meter": "<meter value=1>{}</meter>",
    "progress": "<progress>{}</progress>",
    "noembed": "<noembed>{}</noembed>",
    "noframes": "<noframes>{}</noframes>",
    "ruby parentheses": "<ruby>k<rp>{}</rp></ruby>",
    "comment": "<!-- {} -->",
    "bogus comment": "<!{}>",
    "bogus end tag": "</ {}>",
    "CDATA": "<![CDATA[{}]]>",
    "conditional comment": "<!--[if IE]><p>{}</p><![endif]-->",
    "white font": "<font color=white>{}</font>",
    "ground of a cell": "<table><tr><td bgcolor=black><font color=#000>{}</font></table>",
    "size of a parent's": '<div style="font-size:20%"><p style="font-size:50%">{}</p></div>',
    "opacity of parents": '<div style="opacity:.3"><p style="opacity:.3">{}</p></div>',
    "behind a shadow root": "<div><template shadowrootmode=open></template><p>{}</p></div>",
    "five hundred deep": "<div>" * 500 + "{}",
}


@pytest.mark.parametrize("markup", ELEMENTS.values(), ids=ELEMENTS.keys())
def test_what_a_browser_does_not_show_is_recorded_and_not_served(markup: str) -> None:
    is_recorded_among_others(*read_html(f"<p>{VISIBLE}</p>" + markup.format(SECRET)))


@pytest.mark.parametrize(
    "markup",
    [
        "<head><title>{}</title></head>", "<head><noscript>{}</noscript></head>",
        '<meta name=description content="{}">', '<img alt="{}">', '<p title="{}">.</p>',
        "<script>{}</script>", '<script type="application/ld+json">"{}"</script>',
        '<iframe srcdoc="{}"></iframe>', "<object>{}</object>", "<svg><title>{}</title></svg>",
        "<svg><desc>{}</desc></svg>", "<math><annotation>{}</annotation></math>",
        '<style>p::before{{content:"{}"}}</style>', '<input type=hidden value="{}">',
        "<svg><g><!-- {} --></g></svg>", "<p hidden><!-- {} --></p>", "<?{}?>",
    ],
)  # fmt: skip
def test_what_is_no_text_of_the_page_is_not_served(markup: str) -> None:
    text, _ = read_html(f"<p>{VISIBLE}</p>" + markup.format(SECRET))
    assert VISIBLE in text
    assert MARK not in text


@pytest.mark.parametrize(
    "markup",
    [
        "<details open><summary>More</summary>{}</details>", "<dialog open>{}</dialog>",
        "<p aria-hidden=true>{}</p>", "</body></html><p>{}</p>", "<xmp>{}</xmp>", "<plaintext>{}",
        '<p style="color:red" style="display:none">{}</p>', "<select><option>{}</select>",
        "<x-card><template shadowrootmode=open><slot></slot></template>{}</x-card>",
    ],
)  # fmt: skip
def test_what_a_reader_sees_who_does_nothing_is_served(markup: str) -> None:
    text, hidden = read_html(f"<p>{VISIBLE}</p>" + markup.format(SECRET))
    assert SECRET in text
    assert hidden == ()


DRAWINGS = {
    "a label": '<svg viewBox="0 0 90 40"><rect width="90" height="40" fill="#555"/>'
    '<text x="9" y="20">{}</text></svg>',
    "a label in parts": "<svg><g><text><tspan>The refund code</tspan> <tspan dy='9'>is ZEBRA."
    "</tspan></text></g></svg>",
    "a label that is moved": '<svg><g transform="translate(40 20)"><text>{}</text></g></svg>',
    "a link": '<svg><text><a href="#x">{}</a></text></svg>',
    "a formula's words": "<math><mtext>{}</mtext></math>",
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_of_drawings_and_formulas_are_served(name: str) -> None:
    text, hidden = read_html(f"<p>{VISIBLE} " + DRAWINGS[name].format(SECRET) + "</p>")
    assert " ".join(text.split()) == f"{VISIBLE} {SECRET}"
    assert hidden == ()


UNDRAWN = {
    "beside the drawing": '<svg viewBox="0 0 90 40"><text x="-300" y="9">{}</text></svg>',
    "below the drawing": '<svg height="40"><text x="1" y="900">{}</text></svg>',
    "white": '<svg><text fill="white">{}</text></svg>',
    "white by style": '<svg><text style="fill:#fff">{}</text></svg>',
    "white by a sheet": "<style>text{{fill:#fff}}</style><svg><text>{}</text></svg>",
    "without ink": '<svg><g fill="none"><text>{}</text></g></svg>',
    "of no opacity": '<svg><g fill-opacity="0"><text>{}</text></g></svg>',
    "tiny": '<svg><text font-size="1">{}</text></svg>',
    "not displayed": '<svg><g display="none"><text>{}</text></g></svg>',
    "not visible": '<svg visibility="hidden"><text>{}</text></svg>',
    "masked": '<svg><g mask="url(#m)"><text>{}</text></g></svg>',
    "cut by style": '<svg><text style="clip-path:url(#c)">{}</text></svg>',
    "far away": '<svg><text transform="translate(-9999 0)">{}</text></svg>',
    "as small as nothing": '<svg><g transform="scale(0)"><text>{}</text></g></svg>',
    "in a hidden box": '<div style="display:none"><svg><text>{}</text></svg></div>',
    "on a white paragraph": '<p style="opacity:0"><svg><text>{}</text></svg></p>',
    "a white term": '<math><mtext mathcolor="#ffffff">{}</mtext></math>',
    "a phantom": "<math><mphantom><mtext>{}</mtext></mphantom></math>",
    "a tiny term": '<math><mtext mathsize="1px">{}</mtext></math>',
}


@pytest.mark.parametrize("name", UNDRAWN)
def test_texts_of_drawings_that_leave_no_ink_are_hidden(name: str) -> None:
    is_recorded(*read_html(f"<p>{VISIBLE}</p>" + UNDRAWN[name].format(SECRET)))


@pytest.mark.parametrize(
    "markup",
    ["<svg><title>{}</title></svg>", "<svg><defs><text>{}</text></defs></svg>",
     "<svg><desc>{}</desc><path d='M0 0'/></svg>", "<svg><symbol><text>{}</text></symbol></svg>",
     '<math><semantics><mi></mi><annotation encoding="x">{}</annotation></semantics></math>'],
)  # fmt: skip
def test_what_a_drawing_only_says_of_itself_is_neither(markup: str) -> None:
    assert read_html(f"<p>{VISIBLE}</p>" + markup.format(SECRET)) == (VISIBLE, ())


def test_a_formula_is_read_as_it_is_seen() -> None:
    markup = (
        "<p>Area <math><mi>A</mi><mo>=</mo><mfrac><mn>1</mn><mn>2</mn></mfrac>"
        "<msup><mi>r</mi><mn>2</mn></msup><msub><mi>k</mi><mn>0</mn></msub></math>.</p>"
    )
    assert read_html(markup) == ("Area A=1/2r^2k_0 .", ())


HOSTILE = {
    "100,000 nested boxes": "<div>" * 100_000 + "x",
    "100,000 nested boxes, hidden": "<p>v</p><div hidden>" + "<div>" * 100_000 + "x",
    "100,000 attributes": "<p " + " ".join(f"a{i}=1" for i in range(100_000)) + ">x",
    "5 MB of <": "<" * 5_000_000,
    "a million open comments": "x<!--" * 1_000_000,
    "600,000 elements": "x" + "<br>" * 600_000,
    "20,000 formatting elements": "<b><p>" * 20_000 + "x",
    "20,000 templates": "v" + "<template>" * 20_000 + "x",
    "a style of a million colons": '<p style="' + "transform:" * 100_000 + '">x',
    "a sheet of <": "v<style>" + "<" * 1_000_000 + "</style>",
    "a sheet of open braces": "v<style>" + "a{" * 200_000 + "</style>",
    "a sheet of quotes": "v<style>" + "'\"" * 300_000 + "</style>",
    "a sheet of ampersands": "v<style>a{" + "&" * 1_000_000 + "{top:0}}</style>",
    "2,000 rules for 20,000 elements": "<style>"
    + "p{zoom:0}" * 2_000
    + "</style>"
    + "<p>x" * 20_000,
    "nested :has": "<style>:has(:has(:has(z))){zoom:0}</style>" + "<div>" * 300 + "<p>x",
    "siblings of siblings": "<style>" + "p:has(~ z){zoom:0}" * 500 + "</style>" + "<p>x" * 5_000,
    "variables of variables": "<style>:root{"
    + "".join(f"--a{i}:{f'var(--a{i + 1})' * 9};" for i in range(50))
    + "}p{top:var(--a0)}</style><p>x",
    "an animation of 100,000 names": "<style>@keyframes k{to{opacity:0}}p{animation:"
    + "k 1s," * 100_000
    + "k}</style><p>x",
    "a number of a million digits": '<p style="top:' + "9" * 1_000_000 + '">x',
    "a million spaces in a font": '<p style="font:' + "a" + " " * 1_000_000 + '/">x',
}


REFUSED = {
    "100,000 nested boxes", "100,000 nested boxes, hidden", "100,000 attributes",
    "600,000 elements", "20,000 templates", "2,000 rules for 20,000 elements",
    "siblings of siblings",
}  # fmt: skip


@ends
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_read_or_refused_in_seconds(name: str) -> None:
    with pytest.raises(UnreadableError) if name in REFUSED else nullcontext():
        read_html(HOSTILE[name])


def test_a_large_honest_page_is_read_whole() -> None:
    page = "".join(f"<h2>Part {i}</h2><p>{VISIBLE}</p>" for i in range(3_000))
    text, hidden = read_html(f"<body>{page}<p hidden>{SECRET}</p></body>")
    assert text.count(VISIBLE) == 3_000
    assert [h.text for h in hidden] == [SECRET]


FRAGMENTS = [
    "<p>", "</p>", "<b hidden>", "<style>", "</style>", "p{display:none}", "{", "}", "<!--", "-->",
    "<pre>", " ", "\n", "<template>", "</template>", "text", '">', "&", '<i style="', "color:rgb(",
    "1e999", "--a:", "var(--a)", ":not(", "@media", "\\", "\x00", "\ud7ff", "hsl(", "nan", "%", ",",
    "transform:scale(", "/*", "font:", "*",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=30).map("".join))
def test_any_markup_is_read_and_no_control_of_ours_gets_out(markup: str) -> None:
    text, hidden = read_html(markup)
    assert "\x00" not in text
    assert all(h.kind and h.text.strip() for h in hidden)


def test_details_show_their_summary_until_somebody_opens_them() -> None:
    page = f"<details%s><summary>{VISIBLE}</summary><p>{SECRET}</p></details>"
    text, hidden = read_html(page % "")
    assert text == VISIBLE
    assert [(h.kind, h.text) for h in hidden] == [("html-hidden", SECRET)]
    assert SECRET in read_html(page % " open")[0]


def test_what_stands_in_a_field_is_served() -> None:
    assert read_html(f"<textarea>{VISIBLE}</textarea>") == (VISIBLE, ())
