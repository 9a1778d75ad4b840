from __future__ import annotations

import base64
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragguard.errors import UnreadableError
from ragguard.parse.html import read_html
from tests.support.documents import MARK, SECRET, VISIBLE
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


STYLES = {
    "no size of its own": "contain:size;overflow:hidden",
    "nothing of its own counts": "contain:strict",
    "rows of no height": "display:grid;grid-template-rows:0fr;overflow:hidden",
    "columns of no width": "display:grid;grid-template-columns:0px 0px",
    "a basis of nothing": "flex:0 0 0;min-width:0;overflow:hidden",
    "a basis of nothing, long": "flex-basis:0px;min-width:0;overflow:clip",
    "below the window, by its block": "position:fixed;inset-block-start:120%",
    "zoom calculated": "zoom:calc(1/100)",
    "what an attribute says": "color:attr(data-c type(<color>), #fff)",
    "on a condition": "display:if(media(width > 1px): none; else: block)",
    "display": "display:none",
    "display in capitals": "DISPLAY : NONE !important",
    "display with a comment": "display:/**/none",
    "display with an escape": "d\\69splay:none",
    "display before an open comment": "display:none;/*",
    "display taken back by a wrong value": "display:none;display:bogus",
    "visibility": "visibility:hidden",
    "content visibility": "content-visibility:hidden",
    "opacity 0": "opacity:0",
    "opacity .01": "opacity:.01",
    "opacity in percent": "opacity:1%",
    "opacity with an exponent": "opacity:1e-3",
    "negative opacity": "opacity:-1",
    "filter": "filter:opacity(0%)",
    "size 0": "font-size:0",
    "size 0.1px": "font-size:0.1px",
    "size 1pt": "font-size:1pt",
    "size in percent": "font-size:1%",
    "size in rem": "font-size:.01rem",
    "size in viewport widths": "font-size:.01vw",
    "size calculated": "font-size:calc(1px * 1)",
    "size in the shorthand": "font:1px/2 serif",
    "shorthand of zero": "font:0/0 a",
    "white": "color:white",
    "white in hex": "color:#FFF",
    "white with alpha": "color:#ffffffff",
    "white as rgb with spaces": "color:rgb(255 255 255)",
    "white in percent": "color:rgb(100%,100%,100%)",
    "white as hsl": "color:hsl(0, 0%, 100%)",
    "nearly white": "color:#fafafa",
    "a named near white": "color:ghostwhite",
    "transparent": "color:transparent",
    "transparent in hex": "color:#0000",
    "nearly transparent": "color:rgb(0 0 0 / 0.01)",
    "fill colour": "-webkit-text-fill-color:transparent",
    "colour of its ground": "color:#000;background:#000",
    "a name on the same name": "color:tomato;background-color:tomato",
    "text indent": "text-indent:-9999px",
    "text indent in em": "text-indent:-99em",
    "left": "position:absolute;left:-100vw",
    "far to the right": "position:absolute;left:9999px",
    "inset": "position:fixed;inset:-9999px auto auto auto",
    "margin": "margin:-9999px",
    "translated": "transform:translateX(-9999px)",
    "translate": "translate:-9999px",
    "behind": "position:absolute;z-index:-1",
    "clipped to nothing": "position:absolute;clip:rect(1px,1px,1px,1px)",
    "clip path inset": "clip-path:inset(50%)",
    "clip path circle": "clip-path:circle(0)",
    "clip path polygon": "clip-path:polygon(0 0,0 0,0 0)",
    "scaled to nothing": "transform:scale(0.001)",
    "scaled in one direction": "transform:scaleX(0)",
    "scale": "scale:0",
    "zoom": "zoom:0.01",
    "turned edge on": "transform:rotateY(90deg)",
    "no height": "height:0;overflow:hidden",
    "a pixel": "height:1px;width:1px;overflow:hidden",
    "no block size": "block-size:0;overflow:hidden",
    "Outlook only": "mso-hide:all",
    "white, oklch": "color:oklch(1 0 0)",
    "white, oklab": "color:oklab(100% 0 0)",
    "white, lab": "color:lab(100 0 0)",
    "white, lch": "color:lch(100% 0 0)",
    "white, hwb": "color:hwb(0 100% 0%)",
    "white, by space": "color:color(srgb 1 1 1)",
    "white, by a wide space": "color:color(display-p3 1 1 1)",
    "white, xyz": "color:color(xyz .95 1 1.09)",
    "white, mixed": "color:color-mix(in oklab, white 97%, black)",
    "white, of a mix": "color:color-mix(in srgb, color-mix(in srgb, white, white), white)",
    "mixed to nothing": "color:color-mix(in srgb, black 2%, transparent)",
    "white where it is light": "color:light-dark(#fff, #000)",
    "white, relative": "color:rgb(from white r g b)",
    "transparent, relative": "color:rgb(from black r g b / 4%)",
    "white by any name": "color:linen;background:oldlace",
    "of the system": "color:canvas",
    "black on a plain gradient": "background:linear-gradient(#000,#010101)",
    "white on a white gradient": "color:#fff;background-image:linear-gradient(white,#fefefe)",
    "letters cut out of white": "color:transparent;background:#fff;background-clip:text",
    "masked by nothing": "mask:linear-gradient(#0000,#0000)",
    "masked as images": "-webkit-mask-image:linear-gradient(transparent, rgb(0 0 0 / 1%))",
    "masked by what is elsewhere": "mask:url(a.svg)",
    "masked by the dark": "mask-image:linear-gradient(#000,#000);mask-mode:luminance",
    "a mask of no size": "mask-size:0 0",
    "clipped by a path": "clip-path:path('M0 0')",
    "clipped by a line": "clip-path:path('M0 0 L900 0 L900 1 Z')",
    "clipped by what is elsewhere": "clip-path:url(#a)",
    "clipped by a path that ends": "clip-path:path(",
    "clipped from below": "clip-path:inset(0 0 999px 0)",
    "clipped but for a pixel": "clip-path:inset(calc(100% - 1px) 0 0 0)",
    "clipped to a flat rectangle": "clip-path:xywh(0 0 100% 1px)",
    "clipped to a dot": "clip-path:circle(2px at 50% 50%)",
    "clipped elsewhere": "clip-path:circle(50px at -900px 0)",
    "clipped to a flat polygon": "clip-path:polygon(0 0, 100% 0, 100% 1%)",
    "clipped to a sliver": "position:absolute;clip:rect(0,900px,1px,0)",
    "on a path": "offset-path:path('M-9999 0L-9998 0')",
    "on a path that ends": "offset-path:path(",
    "padded away": "padding-left:9999px;overflow:hidden;white-space:nowrap",
    "pushed out of its box": "text-indent:100%;overflow:hidden;white-space:nowrap",
    "a screen and a half to the right": "margin-left:150vw",
    "fixed below the screen": "position:fixed;top:200vh",
    "four pixels high": "max-height:4px;overflow:hidden",
    "four pixels high, scrolling": "height:4px;overflow-y:scroll",
    "as wide as a letter": "width:20px;overflow:hidden;white-space:nowrap",
    "adjusted to nothing": "font-size-adjust:0",
    "the lesser size": "font-size:min(0px, 9px)",
    "a clamped size": "font-size:clamp(0px, 1px, 2px)",
    "letters in a heap": "letter-spacing:-1em",
    "discs": "-webkit-text-security:disc",
    "by a matrix": "transform:matrix(0,0,0,0,0,0)",
    "moved by a matrix": "transform:matrix(1,0,0,1,-5000,0)",
    "by a matrix in space": "transform:matrix3d(0,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1)",
    "turned in space": "transform:rotate3d(1,0,0,90deg)",
    "turned by a quarter": "transform:rotateX(.25turn)",
    "turned by the property": "rotate:y 90deg",
    "turned away": "transform:rotateY(180deg);backface-visibility:hidden",
    "skewed": "transform:skewX(90deg)",
    "blurred": "filter:blur(9px)",
    "inverted": "filter:invert(1)",
    "bright": "color:#222;filter:brightness(100)",
    "by a filter elsewhere": "filter:url(#a)",
    "lightened": "mix-blend-mode:lighten",
    "screened": "mix-blend-mode:screen",
    "the difference": "color:#000;mix-blend-mode:difference",
    "opacity calculated": "opacity:calc(1 - 1)",
    "the lesser opacity": "opacity:min(0, 1)",
    "size calculated to nothing": "font-size:calc(1rem - 2 * 8px)",
    "height calculated to nothing": "height:calc((10px - 5px) - 5px);overflow:hidden",
    "words in a heap": "word-spacing:-99px",
    "fixed just below the screen": "position:fixed;top:101vh",
    "adjusted to nothing by height": "font-size-adjust:ex-height 0",
    "behind a border": "border-left:9999px solid",
    "replaced by a picture": "content:url(a.png)",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("where", ["attribute", "sheet"])
def test_text_hidden_by_a_style_is_recorded_and_not_served(style: str, where: str) -> None:
    if where == "attribute":
        page = f'<p>{VISIBLE}</p><p style="{style}">{SECRET}</p>'
    else:
        page = f"<style>.q{{{style}}}</style><p>{VISIBLE}</p><p class=q>{SECRET}</p>"
    text, hidden = read_html(page)
    assert text == VISIBLE
    assert [h.text for h in hidden] == [SECRET]
    assert hidden[0].kind.startswith("css-")


HONEST_STYLES = [
    "contain:content",
    "contain:size;height:300px;overflow:auto",
    "contain:strict;min-height:20em",
    "display:grid;grid-template-columns:1fr 0 2fr",
    "display:grid;grid-template-rows:0fr 1fr;overflow:hidden",
    "flex:1 1 0;min-width:0;overflow:hidden",
    "flex-basis:0;flex-grow:1;overflow:hidden",
    "flex:0 0 auto;overflow:hidden",
    "zoom:calc(4/3)",
    "position:fixed;inset-block-start:10%",
    "min-height:0", "border-width:0", "line-height:0.9", "max-width:60em", "margin-left:-15px",
    "opacity:.6", "font-size:11px", "font:italic 700 13px/1.4 Georgia", "color:#767676",
    "color:white;background:#003366", "color:#fff;background:url(a.png)", "overflow:hidden",
    "clip-path:inset(0)", "clip-path:polygon(0 0,100% 0,100% 100%)", "transform:scale(1)",
    "transform:rotate(90deg)", "left:50%;transform:translate(-50%,-50%)", "z-index:10",
    "display:inline-block", "text-decoration-color:transparent", "border-color:white",
    "background-color:transparent", "width:auto", "font-size:inherit", "color:inherit",
    "color:oklch(0.4 0.1 250)", "color:color-mix(in srgb, black 60%, white)",
    "color:light-dark(#222, #eee)", "color:hwb(200 10% 50%)", "filter:none", "filter:grayscale(1)",
    "border-left:4px solid #999999", "border:1px solid #d7d7d7", "word-spacing:-.1em",
    "width:calc(100% - 20px);overflow:hidden", "height:calc(100vh - 60px);overflow:auto",
    "opacity:calc(1 - .2)", "font-size:calc(1rem + .5vw)",
    "mask:none", "mask-image:linear-gradient(black, transparent)", "letter-spacing:-.02em",
    "letter-spacing:4px", "clip-path:inset(0 0 4px 0 round 8px)", "clip-path:none",
    "transform:matrix(1,0,0,1,10,10)", "transform:rotate3d(0,0,1,90deg)", "rotate:90deg",
    "mix-blend-mode:multiply", "color:white;background:#000;mix-blend-mode:normal",
    "padding-left:40px", "left:100%", "top:100vh", "text-indent:100%", "width:20px",
    "max-height:400px;overflow:auto", "height:20px;overflow:hidden",
    "font-size:clamp(1rem,2vw,2rem)", "font-size:max(12px, 1vw)", "animation:fade 1s forwards",
    "color:transparent;background:linear-gradient(red, blue);-webkit-background-clip:text",
    "color:#fff;background-image:linear-gradient(#123, #345)", "font-size-adjust:.5",
    "backface-visibility:hidden", "color:color-mix(in srgb, var(--brand), white)",
    'content:"; display:none"', "background:url(data:image/png;base64,AAAA)", "--d:none",
]  # fmt: skip


@pytest.mark.parametrize("style", HONEST_STYLES)
def test_text_with_an_ordinary_style_is_served(style: str) -> None:
    for page in (
        f"<p style='{style}'>{VISIBLE}</p>",
        f"<style>.q{{{style}}}</style><p class=q>{VISIBLE}</p>",
    ):
        assert read_html(page) == (VISIBLE, ())


SHEETS = {
    "a language in a negation": "<style>:root:not(:lang(xx)) .q{display:none}</style>",
    "a variable that is calculated": "<style>:root{--z:calc(1/100)}.q{zoom:var(--z)}</style>",
    "a chain of variables": "<style>:root{--a:var(--b);--b:var(--c);--c:var(--d);--d:none}"
    ".q{display:var(--a)}</style>",
    "an animation": "<style>@keyframes a{from{opacity:0}to{opacity:0}}.q{animation:a 1s infinite}"
    "</style>",
    "an animation's end": "<style>@keyframes a{to{opacity:0}}.q{animation:a 0s forwards}</style>",
    "an animation's end in percent": "<style>@keyframes a{0%{top:0}100%{font-size:0}}"
    ".q{animation-name:a;animation-fill-mode:both}</style>",
    "an animation of one block": "<style>@keyframes a{0%,100%{color:white}}"
    ".q{animation:a 1s infinite}</style>",
    "a child of its kind": "<style>p:nth-child(1 of .q){display:none}</style>",
    "a registered property": "<style>@property --x{syntax:'<color>';inherits:false;"
    "initial-value:white}.q{color:var(--x)}</style>",
    "a first line": "<style>.q::first-line{color:#fff}</style>",
    "what is put behind": "<style>.q{position:relative}.q::after{content:'';position:absolute;"
    "inset:0;background:#fff}</style>",
    "for all media": "<style media=all>.q{display:none}</style>",
    "for the screen": "<style>@media screen{.z{top:0} .q{display:none}}</style>",
    "for a width every screen has": "<style>@media (min-width:1px){.q{display:none}}</style>",
    "negated media": "<style>@media not print{.q{display:none}}</style>",
    "after an import": '<style>@import "a.css";.q{display:none}</style>',
    "after a charset": '<style>@charset "utf-8";.q{display:none}</style>',
    "in a layer": "<style>@layer a{.q{display:none}}</style>",
    "after a comment with braces": "<style>/* } { */.q{display:none}</style>",
    "a comment in the selector": "<style>.a/*,*/,.q{display:none}</style>",
    "a variable": "<style>:root{--d:none}.q{display:var(--d)}</style>",
    "a variable's fallback": "<style>.q{display:var(--undefined, none)}</style>",
    "nested": "<style>body{color:red;.q{display:none}}</style>",
    "nested with an ampersand": "<style>p{&.q{display:none}}</style>",
    "a list of selectors": "<style>:is(.z,.q){display:none}</style>",
    "a member nobody knows": "<style>.z:bogus,.q{display:none}</style>",
    "an unknown negation": "<style>.q:not(:focus-visible){display:none}</style>",
    "a prefixed list": "<style>:-webkit-any(.q){display:none}</style>",
    "a long selector": "<style>" + ".z," * 400 + ".q{display:none}</style>",
    "a long body": "<style>.q{" + "color:red;" * 400 + "display:none}</style>",
    "an escaped class": "<style>.\\71{display:none}</style>",
    "cut off": "<style>.q{display:none</style>",
    "a comma in a string": '<style>p[title="a,b"]{display:none}</style>',
    "a semicolon in a string": '<style>.q{color:white;content:";color:black"}</style>',
    "in a drawing": "<svg><style>.q{display:none}</style></svg>",
    "in the body": "<div><style>.q{display:none}</style></div>",
    "the stronger rule comes first": "<style>#i{color:white}.q{color:black}</style>",
    "an urgent rule": "<style>[title]{color:white!important}#i{color:black}</style>",
    "colour and ground apart": "<style>.q{color:#000}#i{background:#000}</style>",
    "an address": '<link rel=stylesheet href="data:text/css,.q%7Bdisplay:none%7D">',
    "an address in base64": '<link rel=stylesheet href="data:text/css;base64,'
    + base64.b64encode(b".q{display:none}").decode()
    + '">',
    "an imported address": '<style>@import url("data:text/css,.q%7Bdisplay:none%7D");</style>',
}


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS.keys())
def test_style_sheets_cannot_hide_text_from_the_record(sheet: str) -> None:
    text, hidden = read_html(f'{sheet}<p>{VISIBLE}</p><p class=q id=i title="a,b">{SECRET}</p>')
    assert MARK not in text
    assert VISIBLE in text
    assert any(MARK in h.text for h in hidden)


@pytest.mark.parametrize(
    "sheet",
    [
        pytest.param("@media print{.q{display:none}}", id="for print"),
        pytest.param("@media (max-width:600px){.q{display:none}}", id="for narrow screens"),
        pytest.param("@media (prefers-color-scheme:dark){.q{color:#fff}}", id="for dark screens"),
        pytest.param("@keyframes a{from{opacity:0}}", id="a beginning of an animation"),
        pytest.param(".q:hover{opacity:0}", id="under the mouse"),
        pytest.param(".q::before{opacity:0}", id="something before it"),
        pytest.param(".other{display:none}", id="another class"),
        pytest.param("body{background:#111;color:#eee}", id="light on dark"),
        pytest.param("div{background:#111}.q{color:#fff}", id="light on a dark box"),
        pytest.param("div{visibility:hidden}.q{visibility:visible}", id="shown again"),
        pytest.param("div{font-size:0}.q{font-size:16px}", id="no gaps between boxes"),
    ],
)
def test_text_that_a_usual_screen_shows_is_served(sheet: str) -> None:
    page = f"<style>{sheet}</style><body><div><p class=q>{VISIBLE}</p></div></body>"
    assert read_html(page) == (VISIBLE, ())


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
    text, hidden = read_html(f"<p>{VISIBLE}</p>" + markup.format(SECRET))
    assert MARK not in text
    assert VISIBLE in text
    assert any(MARK in h.text for h in hidden)


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
    text, hidden = read_html(f"<p>{VISIBLE}</p>" + UNDRAWN[name].format(SECRET))
    assert text == VISIBLE
    assert [h.text for h in hidden] == [SECRET]


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


HONEST_SHEETS = [
    "@keyframes a{from{opacity:0}to{opacity:1}}.q{animation:a 1s forwards}",
    "@keyframes a{50%{opacity:0}}.q{animation:a 1s infinite}",
    "@keyframes a{from{opacity:1}to{opacity:0}}.q{animation:a 1s alternate infinite}",
    "@keyframes a{to{opacity:0}}.z{animation:a 0s forwards}",
    ".q::first-line{font-weight:bold}",
    ".q::after{content:'x';position:absolute;right:0;background:#fff}",
    ".q::before{display:none}",
    ".q::selection{color:#fff}",
]


@pytest.mark.parametrize("sheet", HONEST_SHEETS)
def test_text_under_an_ordinary_sheet_is_served(sheet: str) -> None:
    assert read_html(f"<style>{sheet}</style><p class=q>{VISIBLE}</p>") == (VISIBLE, ())


COVER = "position:absolute;inset:0;background:#fff"


def covered(style: str) -> str:
    return read_html(f"<div><p>{SECRET}</p><div style='{style}'>{VISIBLE}</div></div>")[0]


def test_what_lies_under_another_element_is_hidden() -> None:
    for style in (COVER, "position:absolute;top:0;left:0;width:100%;height:100%;background:black"):
        style += ";color:red"
        assert covered(style) == VISIBLE
    for style in (
        COVER + ";z-index:-1", COVER + ";opacity:.5", COVER + ";transform:translateX(-100%)",
        "position:absolute;inset:0;background:rgb(0 0 0 / .4);color:red",
        "position:absolute;top:0;left:0;width:100%;background:#fff", "position:absolute;inset:0",
        COVER.replace("absolute", "relative"),
    ):  # fmt: skip
        assert SECRET in covered(style)


def test_details_show_their_summary_until_somebody_opens_them() -> None:
    page = f"<details%s><summary>{VISIBLE}</summary><p>{SECRET}</p></details>"
    text, hidden = read_html(page % "")
    assert text == VISIBLE
    assert [(h.kind, h.text) for h in hidden] == [("html-hidden", SECRET)]
    assert SECRET in read_html(page % " open")[0]


def test_what_stands_in_a_field_is_served() -> None:
    assert read_html(f"<textarea>{VISIBLE}</textarea>") == (VISIBLE, ())
