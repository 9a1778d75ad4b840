"""What styles and style sheets hide from a reader of a page is recorded and not served."""

from __future__ import annotations

import base64

import pytest

from ragguard.parse.html import read_html
from tests.support.documents import SECRET, VISIBLE, is_recorded, is_recorded_among_others

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
    is_recorded(text, hidden)
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
    page = f'{sheet}<p>{VISIBLE}</p><p class=q id=i title="a,b">{SECRET}</p>'
    is_recorded_among_others(*read_html(page))


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
        pytest.param(
            "@keyframes a{from{opacity:0}to{opacity:1}}.q{animation:a 1s forwards}",
            id="a beginning and an end of an animation",
        ),
        pytest.param(
            "@keyframes a{50%{opacity:0}}.q{animation:a 1s infinite}", id="half-way in an animation"
        ),
        pytest.param(
            "@keyframes a{from{opacity:1}to{opacity:0}}.q{animation:a 1s alternate infinite}",
            id="to and fro",
        ),
        pytest.param(
            "@keyframes a{to{opacity:0}}.z{animation:a 0s forwards}", id="an animation of another"
        ),
        pytest.param(".q::first-line{font-weight:bold}", id="a bold first line"),
        pytest.param(
            ".q::after{content:'x';position:absolute;right:0;background:#fff}",
            id="something small after it",
        ),
        pytest.param(".q::before{display:none}", id="nothing before it"),
        pytest.param(".q::selection{color:#fff}", id="what is selected"),
    ],
)
def test_text_that_a_usual_screen_shows_is_served(sheet: str) -> None:
    page = f"<style>{sheet}</style><body><div><p class=q>{VISIBLE}</p></div></body>"
    assert read_html(page) == (VISIBLE, ())


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
