"""Swap words for synonyms, inflected, from a table.

The tables are written by hand and small: some 330 everyday words. They are not meant to be elegant;
word substitution attacks (Jin et al., "Is BERT Really Robust?", AAAI 2020, and its many kin) live
from words that keep the sentence near its old vector while its letters change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache

import numpy as np

# Rows are parted by `;`; the words of a row may stand for one another, `_` is a space.
_NOUNS = """
answer reply response; area region district zone; amount sum total quantity; aim goal purpose;
agreement accord pact deal; article piece text; author writer; award prize honour; boss head chief;
battle fight clash; beginning start outset; belief conviction view; book volume title; budget fund;
building structure edifice; business company firm enterprise; car vehicle automobile; case instance;
category class group kind; cause reason origin; century age era; change alteration shift; child kid;
choice option selection; city town municipality; claim assertion statement; colleague co-worker;
committee board panel; competition contest; country nation state; creator maker originator; crime
offence; customer client; danger risk hazard; date day; death passing; decade ten-year_span; device
appliance instrument; difference distinction gap; director head; discovery finding; disease illness
disorder; document paper file; edition version release; effect result outcome consequence; election
vote ballot; employee worker staff_member; end conclusion close; episode instalment; error mistake
fault; event occasion happening; example instance illustration; expert specialist authority; fact
detail point; factor element component; feature trait characteristic; film movie picture; figure
number value; founder initiator; friend companion; game match contest; group band team; guide manual
handbook; history past record; holiday vacation; home house residence; idea notion concept; income
earnings revenue; inhabitant resident; invention creation; issue matter question; job post position;
journey trip voyage; language tongue; law statute act; leader head chief; length duration extent;
letter note message; limit cap ceiling; list register roll; location place site spot; manager
supervisor; meaning sense; member participant; method way approach technique; minute moment; mission
assignment; month four_weeks; movie film; musician performer artist; name title designation; novel
book; office bureau; origin source root; owner holder proprietor; page sheet; part portion section
segment; payment remittance; people folk; period span stretch; person individual;
photo picture image; plan scheme; player competitor; police constabulary; population inhabitants;
price cost charge; problem difficulty trouble; procedure process routine; product item article;
programme show series; project undertaking; proof evidence; property asset; quality standard; race
contest; rank position grade; reader audience; record log account; report account statement; request
application demand; researcher scholar scientist; resource asset; right entitlement; road route
street; role part function; rule regulation guideline; scene setting; school academy; season series;
sentence line; sequel follow-up; ship vessel; shop store outlet; singer vocalist performer; skill
ability; song track tune; source reference origin; speech address talk; stage phase step; star lead;
state condition; story tale narrative; student pupil learner; study investigation analysis; success
triumph; supplier vendor provider; task job assignment; teacher instructor; team squad side; test
trial check; text passage wording; threat menace; ticket pass; tool instrument; topic subject theme;
town city; trade commerce; type kind sort; user operator; value worth figure; village settlement;
visitor guest caller; war conflict hostilities; weapon arm; website site page; winner victor
champion; woman lady; word term; work labour; writer author; year twelve-month; youth adolescent
"""
_VERBS = """
accept approve; achieve attain reach; add append include; agree concur consent; allow permit let;
announce declare proclaim; appear emerge surface; apply employ use; appoint name designate; argue
contend maintain; arrive come; ask request; assign allocate; attack assault; attract draw; award
grant; beat defeat; become turn_into; begin start commence; believe think hold; belong pertain;
bring carry; build construct erect; buy purchase acquire; call name term; cause trigger provoke;
change alter modify; check verify inspect; choose select pick; claim assert state; close shut;
collect gather assemble; combine merge unite; compete contend; complete finish conclude; compose
write; conduct carry_out; confirm verify corroborate; connect link join; consider regard; consist
comprise; contain hold include; continue go_on; control govern direct; cost require; cover include;
create make produce devise; decide determine resolve; decline fall drop; deliver supply; demand
require; deny reject; describe portray depict; design devise plan; destroy ruin; determine
establish; develop evolve; die perish; direct lead; discover find uncover; discuss debate; divide
split; document record; earn gain; end finish conclude; ensure guarantee secure; enter join; escape
flee; establish found institute set_up; examine study inspect; exceed surpass; exist occur; expand
extend widen; expect anticipate; explain clarify; express voice; feature include present; finish
complete; fix repair; follow succeed; forbid prohibit; form shape constitute; gain obtain; get
obtain receive; give grant provide; grow increase; handle treat; happen occur; help assist aid; hide
conceal; hold keep; identify recognise; improve enhance; include contain comprise; increase rise
grow; indicate show signal; inform notify tell; introduce present launch; invent devise; invite
ask; join enter; keep retain; kill slay; know recognise; last endure; launch start; lead head; leave
depart; live reside dwell; locate situate place; lose forfeit; make produce create; manage run; mark
signal; mean signify denote; measure gauge; meet encounter; mention cite; move shift; need require;
notice observe; obtain acquire; occur happen; offer provide; open start; operate run; organise
arrange; own possess; pay remit; perform execute; permit allow; place put; play perform; portray
depict; present show; prevent avert; produce make; promote advance; protect shield safeguard; prove
demonstrate; provide supply furnish; publish release issue; raise lift; reach attain; receive get
obtain; recognise acknowledge; recommend advise suggest; record register; reduce lower cut; refer
point; reflect mirror; regard consider; release issue publish; remain stay; remove delete; repeat
reiterate; replace substitute; report state; represent stand_for; request ask_for; require need
demand; resemble look_like; return come_back; reveal disclose; rule govern; say state; secure
ensure; see view; select choose; sell trade; send dispatch; serve work; settle resolve; share split;
show display present; sign endorse; sing perform; solve resolve; speak talk; spend expend; start
begin commence; state declare; stay remain; stop halt cease; store keep; submit hand_in; suffer
undergo; suggest propose; supply provide; support back; suppose assume; take accept; teach instruct;
tell inform; think believe; train coach; travel journey; treat handle; try attempt; understand
grasp; unite join; update revise; use employ utilise; visit call_at; wait linger; want wish; warn
caution; watch observe; win gain secure; work labour; write compose pen
"""
_OTHERS = """
about concerning regarding; according_to per; actually in_fact really; additionally moreover
furthermore also; after following; almost nearly; also too as_well; although though even_though;
always invariably; ancient old; approximately roughly about around; because since; before prior_to;
big large great; but yet however; central main; certain particular; clear plain evident; commonly
generally usually; complete full entire; correct right accurate; currently at_present now; different
distinct; difficult hard; during throughout; early initial; easy simple; especially particularly;
essential vital crucial; eventually finally ultimately; exact precise; famous well-known renowned
celebrated; fast quick rapid; final last closing; first initial earliest; former previous earlier;
frequently often; global worldwide; good fine; great grand; huge vast enormous; important
significant major; in_addition besides; initially at_first originally; internal in-house; known
recognised; large big sizeable;
last final; late belated; latest newest most_recent; likely probable; little
small; local regional; main principal chief primary; many numerous several; mostly largely mainly;
near close_to; new fresh recent; nearly almost; notable noteworthy remarkable; official formal;
often frequently; old aged; only solely just; original first; other further; particular specific;
popular well-liked; possible feasible; powerful strong mighty; previously formerly earlier; primary
main; quickly rapidly swiftly; rare uncommon; real genuine true; recent latest; regular routine;
small little minor; special particular; strong powerful; successful triumphant; sufficient enough
adequate; therefore thus hence consequently; today nowadays; total overall; traditional customary;
true genuine; typical usual; under beneath; unique singular; usually normally typically; various
several diverse; very highly extremely; well-known famous; while whereas; whole entire; wide broad;
within inside; worldwide globally; young youthful
"""
# base past participle
_IRREGULAR = """
become became become; begin began begun; be was been; beat beat beaten; break broke broken; bring
brought brought; build built built; buy bought bought; catch caught caught; choose chose chosen;
come came come; cost cost cost; cut cut cut; deal dealt dealt; do did done; draw drew drawn; drive
drove driven; eat ate eaten; fall fell fallen; feel felt felt; fight fought fought; find found
found; flee fled fled; fly flew flown; forbid forbade forbidden; get got got; give gave given; go
went gone; grow grew grown; have had had; hear heard heard; hide hid hidden; hit hit hit; hold held
held; keep kept kept; know knew known; lead led led; leave left left; let let let; lie lay lain;
lose lost lost; make made made; mean meant meant; meet met met; pay paid paid; put put put; read
read read; ride rode ridden; rise rose risen; run ran run; say said said; see saw seen; sell sold
sold; send sent sent; set set set; shoot shot shot; show showed shown; shut shut shut; sing sang
sung; sit sat sat; slay slew slain; sleep slept slept; speak spoke spoken; spend spent spent; split
split split; spread spread spread; stand stood stood; swim swam swum; take took taken; teach taught
taught; tell told told; think thought thought; understand understood understood; wear wore worn; win
won won; write wrote written; turn turned turned; undergo underwent undergone; strike struck struck;
bear bore born; throw threw thrown; forget forgot forgotten; hang hung hung; lay laid laid; seek
sought sought; swear swore sworn; steal stole stolen; sink sank sunk; bind bound bound
"""
# Verbs that questions ask with, beside those above.
_MORE_VERBS = """
air arrest assassinate attend ban bid bomb born broadcast cancel cast celebrate charge coin conquer
debut dissolve elect expire explode export film finance fire gain graduate hire host import
inaugurate invade land marry migrate mine move name order originate paint patent pass plant play
premiere print qualify ratify record retire return score settle star stop surrender sync vote debate
renew report reset restart store test upload expense book claim file store contact escalate log
approve travel order print install configure rotate deploy
"""


def words_in(listing: str) -> frozenset[str]:
    """Return the words of a listing, parted by white space."""
    return frozenset(listing.split())


def _rows(table: str) -> list[list[str]]:
    parts = (part.split() for part in " ".join(table.split()).split(";"))
    return [[word.replace("_", " ") for word in part] for part in parts if part]


_FORMS: Mapping[str, tuple[str, str]] = {r[0]: (r[1], r[2]) for r in _rows(_IRREGULAR)}
PARTICIPLES = frozenset(participle for _, participle in _FORMS.values())
VERBS = (
    frozenset(_FORMS)
    | frozenset(word for row in _rows(_VERBS) for word in row if " " not in word)
    | frozenset(_MORE_VERBS.split())
)
_UNSURE = "about last first take took taken get got since present like"
_DOUBLED = frozenset(("stop", "ban", "plan", "permit", "refer", "occur", "drop", "submit", "log"))
_ONE_WORD = re.compile(r"[A-Za-z][A-Za-z-]*")
# Before h, u, capitals and "one" the ear decides, not the letter: left as they are.
_ARTICLE = re.compile(r"\b([Aa])n?(?= (?!one|once|eu)([a-gi-tv-z]))")


def plural(noun: str) -> str:
    """Return a noun's plural, by rule."""
    irregular = {"person": "people", "child": "children", "woman": "women", "people": "people"}
    if noun in irregular:
        return irregular[noun]
    if noun.endswith("s") and not noun.endswith("ss"):
        return noun
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def third(verb: str) -> str:
    """Return the form of "she ...s"."""
    return {"have": "has", "be": "is", "do": "does", "go": "goes"}.get(verb) or _tail(verb, plural)


def past(verb: str) -> str:
    """Return the simple past."""
    return _FORMS[verb][0] if verb in _FORMS else _tail(verb, _regular_past)


def participle(verb: str) -> str:
    """Return the past participle."""
    return _FORMS[verb][1] if verb in _FORMS else _tail(verb, _regular_past)


def gerund(verb: str) -> str:
    """Return the form in -ing."""
    return _tail(verb, _regular_gerund)


def _tail(verb: str, change: Callable[[str], str]) -> str:
    """Inflect the first word of a phrase ("set up", "carry out")."""
    first, space, rest = verb.partition(" ")
    if space and first in _FORMS and change is _regular_past:
        return past(first) + space + rest
    return change(first) + space + rest


def _regular_past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in _DOUBLED else "") + "ed"


def _regular_gerund(verb: str) -> str:
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    double = verb in _DOUBLED or verb in ("begin", "cut", "get", "put", "run", "set", "win", "sit")
    return verb + (verb[-1] if double else "") + "ing"


@cache
def synonyms() -> Mapping[str, tuple[str, ...]]:
    """Inflected words to what may stand for them."""
    table: dict[str, list[str]] = {}

    def enter(row: list[str]) -> None:
        for word in row:
            if " " not in word:
                others = [w for w in row if w != word]
                table.setdefault(word, []).extend(o for o in others if o not in table[word])

    for row in _rows(_OTHERS):
        enter(row)
    for row in _rows(_NOUNS):
        enter(row)
        enter([plural(word) for word in row])
    nouns = frozenset(table)
    unsure = set(words_in(_UNSURE))
    for row in _rows(_VERBS):
        for form in (str, third, past, participle, gerund):
            inflected = [form(word) for word in row]
            # "Letters" and "notes" may be either: what they stand for here, no table can tell.
            unsure.update(nouns.intersection(inflected))
            enter(inflected)
    return {word: tuple(o) for word, o in table.items() if o and word not in unsure}


def reword(
    text: str, rng: np.random.Generator, share: float, keep: Collection[str] = frozenset()
) -> str:
    """Swap words for synonyms.

    Args:
        share: Share of the words with synonyms that are swapped, in [0, 1].
        keep: Lower-cased words that stay.
    """
    table = synonyms()

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        lower = word.lower()
        others = table.get(lower)
        inside = match.start() and text[match.start() - 1].isalnum()
        if not others or lower in keep or inside or rng.random() >= share:
            return word
        new = others[int(rng.integers(len(others)))]
        return new[0].upper() + new[1:] if word[0].isupper() else new

    return articles(_ONE_WORD.sub(swap, text))


def articles(text: str) -> str:
    """Make `a` and `an` fit the letter that follows."""

    def fit(match: re.Match[str]) -> str:
        return match[1] + ("n" if match[2].lower() in "aeio" else "")

    return _ARTICLE.sub(fit, text)


def sentence(text: str) -> str:
    """Return a sentence: first letter upper case, a full stop at the end, single spaces."""
    clean = " ".join(text.split()).rstrip(" ,;:")
    if not clean:
        return ""
    return articles(clean[0].upper() + clean[1:] + ("" if clean[-1] in ".!?" else "."))
