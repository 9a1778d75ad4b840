"""What is fuzzed: readers of hostile bytes, the errors each may raise, and where to begin.

A target that raises anything else has a fault, and so has one that takes the process down or stands
still. `parse` turns what its parsers raise into "unreadable", so they are called beneath it here.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lxml.etree import XMLSyntaxError

from ragguard.canary import sets
from ragguard.errors import RagguardError, UnreadableError
from ragguard.export import inventory
from ragguard.ledger import writer
from ragguard.parse import answers, charsets, colours, css, drawn, style_sheets
from ragguard.parse.chunk import cut
from ragguard.parse.document import MAX_TEXT, decode_text, read_record, read_text
from ragguard.parse.docx import read_docx
from ragguard.parse.front_matter import read_front
from ragguard.parse.html import read_html
from ragguard.parse.pdf import read_pdf
from ragguard.parse.records import read_records
from ragguard.store import foreign_layout
from ragguard.trust import adoption, decision, dsse, keys, manifest, root, signed_note
from tests.fuzz.files import FILES
from tests.fuzz.target import Target, as_text
from tests.support.documents import SECRET, SHOWN, VISIBLE, pdf, pdf_form, pdf_text, word, word_run

_LIMIT = 1 << 20
# What zipfile says of a damaged archive, or one packed or locked in a way that it does not read,
# and lxml of damaged markup.
_ZIP = (
    zipfile.BadZipFile,
    KeyError,  # a member that is not there
    ValueError,
    NotImplementedError,  # packed by a method, or of a version, that zipfile does not know
    EOFError,
    zlib.error,
    OSError,
    RuntimeError,  # locked by a password
    XMLSyntaxError,
    UnreadableError,
)


def _plain(fmt: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        parsed = read_text(as_text(data), fmt)
        chunks = cut(parsed.text[parsed.begin :], parsed.begin, fmt, size=200, overlap=20)
        for chunk in chunks:
            if parsed.text[chunk.start : chunk.end] != chunk.text:
                raise AssertionError("a chunk is not what stands at its span")
        return chunks

    return read


def _page(data: bytes) -> object:
    text = decode_text(data, "html")
    return read_html(text), read_front(text, "html")


def _body(data: bytes) -> object:
    """A DOCX whose document is these bytes: fuzzing a ZIP file reaches little."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_WORD)) as old, zipfile.ZipFile(out, "w") as archive:
        for name in old.namelist():
            archive.writestr(name, data if name == "word/document.xml" else old.read(name))
    return read_docx(out.getvalue())


def _style(data: bytes) -> object:
    text = as_text(data)
    for selector, body in style_sheets.rules(text):
        declared = css.declarations(body)
        (
            style_sheets.weight(selector),
            css.removes(declared),
            css.ComputedStyle().under(declared).hides(),
        )
    return None


def _note(data: bytes) -> object:
    text, _ = signed_note.split(as_text(data))
    return signed_note.parse_checkpoint(text)


def _verifier(data: bytes) -> object:
    return signed_note.parse_verifier_key(as_text(data))


def _record(data: bytes) -> object:
    return read_record(as_text(data))


def _answer(data: bytes) -> object:
    """What a worker that was taken over says it read."""
    return answers.checked(data)


@dataclass(frozen=True)
class _Point:
    id: str
    payload: dict[str, Any]


def _foreign(data: bytes) -> object:
    """Payloads of a collection that something else wrote."""
    try:
        payloads = json.loads(data)
    except (ValueError, RecursionError):  # a store gives JSON
        return None
    held = [p for p in payloads if isinstance(p, dict)] if isinstance(payloads, list) else []
    points = [_Point(str(number), payload) for number, payload in enumerate(held)]
    layout = foreign_layout.detect(points)
    return [foreign_layout.read(point, layout) for point in points]


class _Browser:
    """A browser that was taken over and says these bytes."""

    def __init__(self, data: bytes) -> None:
        said, _, self._png = data.partition(b"\0")
        self._said = json.loads(said)

    def open(self, markup: str) -> Any:
        return self._said

    def picture(self, x: int, y: int, hidden: Sequence[int] | None) -> tuple[Any, bytes]:
        return [x, y], self._png

    def turn(self, asked: Sequence[tuple[int, int]]) -> Any:
        return self._said

    def lift(self) -> Any:
        return self._said["over"]


def _drawn(data: bytes) -> object:
    try:
        view = _Browser(data)
    except (ValueError, RecursionError):  # the worker's `json.loads` says so
        return None
    return drawn.look(view, "", ["ab"])


def _sized(read: Callable[..., Any]) -> Callable[[bytes], object]:
    return lambda data: read(data, max_bytes=_LIMIT)


_WORD = word()
_PAIR = keys.generate("fuzz")
_MAIN = zipfile.ZipFile(io.BytesIO(word_run("<w:vanish/>"))).read("word/document.xml")
_STATEMENT = (
    b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a.md","digest":{"sha256":"'
    + b"0" * 64
    + b'"}}],"predicateType":"x","predicate":{}}'
)
_DSSE = dsse.sign(_STATEMENT, dsse.IN_TOTO, [(_PAIR.public.keyid, _PAIR.signing_key)])

_PNG = bytes.fromhex(  # 200 x 300, white
    "89504e470d0a1a0a0000000d49484452000000c80000012c0100000000ae81c1130000002e4944415478daed"
    "c9411100000c0220fb97d604bb15802fe925c618638c31c618638c31c618638c31c61863cc3b03aacb3068db"
    "8598c80000000049454e44ae426082"
)

TARGETS: dict[str, Target] = {
    "html": Target(_page, (UnreadableError,), (
        f"<h1>x</h1><p style='color:#fff'>{SECRET}</p><p>{VISIBLE}</p>".encode(),
        b"<style>p:not(.a)>b{display:none;top:calc(1px*2)}</style><svg><text x=1>a</text></svg>",
        b"<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math><noscript><i>x</i></noscript>",
        '<meta charset="gb2312">\u524d\u53f0'.encode("gb18030"),
    )),
    "css": Target(_style, (), (
        b"@media (min-width:9px){a{color:rgb(1 2 3/.5)}b{font:1px/2 x;transform:scale(0)}}",
        b".a{--x:var(--y,1);clip-path:inset(50%)}/* x */",
    )),
    "md": Target(_plain("md"), (UnreadableError,), (
        b"---\ntitle: x\nat: 2020-01-01\n---\n# T\n\n[x]: y \"a b c d\"\n\n```a b\nx\n```\n<b>x",
        b"+++\na.b = [1, 2]\n+++\n> a\n\n| a | b |\n|---|---|\n",
    )),
    "rst": Target(_plain("rst"), (UnreadableError,), (
        b":a: b\n\nT\n=\n\n.. c\n   d\n\n.. meta::\n   :x: y\n\n.. raw:: html\n\n   <b>x</b>\n",
    )),
    "txt": Target(_plain("txt"), (UnreadableError,), (b"<b hidden>x</b> words", b"a\r\nb\n\n\nd")),
    "docx": Target(read_docx, _ZIP, (_WORD, word_run("<w:vanish/>"))),
    "docx-body": Target(_body, _ZIP, (_MAIN,)),
    "pdf": Target(lambda d: read_pdf(d, MAX_TEXT), (UnreadableError,), (
        pdf(SHOWN + pdf_text(state="3 Tr")),
        pdf(f"{SHOWN}/X Do", objects=[pdf_form(pdf_text())], resources="/XObject << /X 6 0 R >>"),
    )),
    "jsonl": Target(lambda d: read_records(d, "jsonl", "f"), (RagguardError,), (
        b'{"id": "1", "text": "a", "metadata": {"x": [1]}}\n', b'\xef\xbb\xbf{"id":1,"text":""}',
    )),
    "record": Target(_record, (UnreadableError,), (b"words <b hidden>x</b>", b"words")),
    "colour": Target(lambda d: colours.colour(as_text(d).lower()), (), (
        b"color-mix(in srgb, white 20%, rgb(1 2 3 / .5))", b"oklch(1 0 0)", b"#fff8",
    )),
    "worker-answer": Target(_answer, (), (
        b'{"text":"words","begin":0,"hidden":[["a","b"]],"spans":[[0,5]]}', b'{"reason":"x"}',
    )),
    "browser-answer": Target(_drawn, (UnreadableError,), (
        b'{"texts":["ab"],"places":[[0,1,1,2]],"marks":[""],"boxes":[[0,0,40,80,40,0,80,80]],'
        b'"extent":[200,300,200,300],"pinned":false,"bare":true,"over":[[0,0,9,9]],"movers":[]}\0'
        + _PNG,
    )),
    "foreign": Target(_foreign, (RagguardError,), (
        b'[{"page_content":"a","metadata":{"source":"x","start_index":0}}]',
        b'[{"_node_content":"{\\"text\\": \\"a\\"}","doc_id":"x"}]',
        b'[{"content":"a","meta":{"url":"x"}},{"content":"b","meta":{"url":"y"}}]',
    )),
    "csv": Target(lambda d: read_records(d, "csv", "f"), (RagguardError,), (
        b'id,text,x\n1,"a\nb",c\n', "id,text\n1,a\n".encode("utf-16"),
    )),
    "charset": Target(charsets.declared, (), (
        b'<meta http-equiv="content-type" content="text/html; charset=koi8-r">',
        b'<?xml version="1.0" encoding="latin1"?>',
    )),
    "envelope": Target(_sized(dsse.parse_envelope), (RagguardError,), (_DSSE,)),
    "manifest": Target(_sized(manifest.parse), (RagguardError,), (_STATEMENT,)),
    "adoption": Target(_sized(adoption.parse), (RagguardError,), (_STATEMENT, b'{"type":"x"}')),
    "decision": Target(decision.parse, (RagguardError,), (b'{"type":"x","outcome":"release"}',)),
    "root": Target(root.parse_root, (RagguardError,), (b'{"type":"ragguard-trust-root"}',)),
    "public-key": Target(keys.load_public, (RagguardError,), (keys.dump_public(_PAIR.public),)),
    "verifier-key": Target(_verifier, (RagguardError,), (
        signed_note.verifier_key("log", bytes(_PAIR.signing_key.verify_key)).encode(),
    )),
    "inventory": Target(inventory.parse, (RagguardError,), (b'{"format":"x"}',)),
    "canaries": Target(sets.load, (RagguardError,), (sets.dump(sets.Canaries({}, {})),)),
    "plan": Target(writer.load_plan, (RagguardError,), (
        writer.dump_plan(writer.Plan(
            1, "ingest", "t", "alice", "wiki", enter=[(1, "serving")], closes=[(1, "released")],
            writes={"c": [writer.Write("p", {"a": 1}, "0", 0)]}, counts={"admitted": 1},
        )),
    )),
    "note": Target(_note, (RagguardError, ValueError), (
        b"origin\n1\nAAAA\n\n\xe2\x80\x94 name AAAAAAAA\n",
    )),
    **FILES,
}  # fmt: skip
