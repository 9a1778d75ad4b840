"""A source of low tier writes four paraphrases around each fresh document of a better one.

Before sources were weighed by their tier, eight of ten such documents were pulled back out of the
index. The same forty texts in the better source's own name show that they would be company enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ragguard.ingest.report import Report
from ragguard.trust import keys
from tests.support.simulator import Gate, Publisher
from tests.support.workspaces.handbook import add, judged_handbook_gate

# Ten honest news, each with four ways to say it again.
NEWS = {
    "bicycles": (
        "The bicycle shed behind the Leeds office opens at six and needs the blue badge.",
        "With a blue badge you get into the shed for bikes at the Leeds site from six o'clock on.",
        "Cyclists in Leeds: your bikes go into the store behind our building; blue badges, from 6.",
        "Behind the premises at Leeds there is room for cycles, unlocked at six by badge (blue).",
        "From six, the blue badge lets anyone park a bike in the shed at the back of Leeds office.",
    ),
    "canteen": (
        "In Porto the canteen serves a vegan lunch on Wednesdays, ordered by ten the day before.",
        "Vegan lunch is on offer each Wednesday in Porto's canteen if you order by 10 on Tuesday.",
        "Porto: Wednesday's canteen meal can be vegan; put your order in until ten a day earlier.",
        "Order before ten on Tuesday and the Porto canteen cooks you a vegan lunch on Wednesday.",
        "A lunch without animal products is cooked in the Porto canteen on Wednesdays by request.",
    ),
    "forklift": (
        "Forklift drivers in Gdansk renew their licence every two years with the safety officer.",
        "Every two years the safety officer in Gdansk renews the licences of those on forklifts.",
        "If you drive a forklift at Gdansk, have your licence renewed each second year.",
        "Licences for forklift trucks last two years in Gdansk; the safety officer extends them.",
        "The Gdansk safety officer must extend a forklift driver's licence after two years.",
    ),
    "mentors": (
        "New engineers are given a mentor for six months and meet them every Thursday.",
        "For half a year each new engineer has a mentor, whom they see on Thursdays.",
        "A mentor accompanies every engineer who joins, meeting weekly on Thursday for 6 months.",
        "Thursdays are when mentors meet the new engineers, throughout their first six months.",
        "Who joins engineering meets a mentor each Thursday during the first half year.",
    ),
    "archive": (
        "Paper contracts older than ten years go to the archive in Hull on the first of March.",
        "On 1 March, contracts on paper that are over ten years old move to the Hull archive.",
        "The archive at Hull takes in paper contracts after ten years, always on March the first.",
        "Hull keeps our old paper contracts: those past ten years are sent there on 1 March.",
        "Each first of March we send paper contracts from more than a decade ago to Hull.",
    ),
    "parking": (
        "Visitors to the Porto office park on level two and get a ticket stamped at reception.",
        "At Porto, guests leave their cars on the second level; reception stamps their ticket.",
        "Reception in the Porto office stamps parking tickets of visitors who park on level 2.",
        "Level two is where Porto's visitors park, and a stamped ticket is had from reception.",
        "Guests of Porto office: park on floor two and let reception stamp the parking ticket.",
    ),
    "printers": (
        "The plotter on floor four prints drawings up to A0 and is booked in the calendar.",
        "Drawings as large as A0 come from the plotter on the fourth floor; book it by calendar.",
        "Book the floor-four plotter in the calendar when you need a drawing printed in A0.",
        "On floor 4 a plotter makes A0 drawings for whoever reserved it in the calendar.",
        "For prints of drawings to A0 size, reserve the fourth floor's plotter in the calendar.",
    ),
    "travel": (
        "Night trains are booked through the travel desk, which answers within one working day.",
        "The travel desk books your night train and replies to you within a working day.",
        "To go by night train, ask the travel desk; you hear from them in one working day.",
        "Within one working day the travel desk answers requests for sleeper trains.",
        "Sleeper trains must be reserved by the travel desk, whose answer comes in one day.",
    ),
    "keys": (
        "A lost locker key costs fifteen pounds and is replaced by the porter in Leeds.",
        "The Leeds porter replaces locker keys that were lost, at a price of fifteen pounds.",
        "Fifteen pounds is what you pay the porter at Leeds for a new key to your locker.",
        "Lose the key of your locker in Leeds and the porter gives you another for 15 pounds.",
        "In Leeds a replacement for a lost locker key is had from the porter for 15 GBP.",
    ),
    "seminars": (
        "The autumn seminar on valves takes place in Gdansk and is open to all departments.",
        "All departments may come to the seminar about valves that Gdansk holds in autumn.",
        "In autumn there is a seminar on valves at Gdansk, which every department may join.",
        "Gdansk hosts the valve seminar each autumn; nobody's department is left out.",
        "Open to every department: the valve seminar of this autumn, held in Gdansk.",
    ),
}
FRESH = {f"news/{name}.md": f"# {name.title()}\n\n{said[0]}\n" for name, said in NEWS.items()}
AROUND = {
    f"posts/{name}-{number}.md": f"{text}\n"
    for name, said in NEWS.items()
    for number, text in enumerate(said[1:])
}


class Told(NamedTuple):
    """What became of the fresh documents, and of what was written around them.

    Attributes:
        serve: Fresh documents that serve in the end.
        pulled: Of them, those that were pulled back on the way.
        caught: Texts around them that were held.
    """

    serve: set[str]
    pulled: set[str]
    caught: int


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Gate]]:
    gates: list[Gate] = []

    def one() -> Gate:
        gates.append(judged_handbook_gate(tmp_path / f"h{len(gates)}"))
        return gates[-1]

    yield one
    for gate in gates:
        gate.close()


def forum(gate: Gate) -> Publisher:
    """A source of low tier, with a signer of its own."""
    mallory = keys.generate("mallory")
    gate.trust(mallory, source="forum")
    gate.set_policy("forum", tier="low")
    return Publisher(gate.folder / "forum", mallory, "forum")


def post(gate: Gate, publisher: Publisher, texts: Mapping[str, str]) -> Report:
    return gate.ingest(publisher.publish(texts, now=gate.now), root=publisher.folder)


def told(gate: Gate, *reports: Report) -> Told:
    pulled = {v.id for report in reports for v in report.pulled}
    held = [v.id for r in reports for v in r.documents if v.outcome == "quarantine"]
    caught = sum(name in AROUND for name in held)
    return Told(FRESH.keys() & gate.documents(), pulled & FRESH.keys(), caught)


def test_what_a_low_source_writes_around_fresh_documents_pulls_none(
    make: Callable[[], Gate],
) -> None:
    gate = make()
    add(gate, FRESH)
    found = told(gate, post(gate, forum(gate), AROUND))
    assert (found.serve, found.pulled) == (set(FRESH), set())


def test_what_a_low_source_wrote_before_they_came_holds_none(make: Callable[[], Gate]) -> None:
    gate = make()
    post(gate, forum(gate), AROUND)
    assert told(gate, add(gate, FRESH)).serve == set(FRESH)


def test_in_the_sources_own_name_they_would_be_company_enough(make: Callable[[], Gate]) -> None:
    gate = make()
    add(gate, FRESH)
    found = told(gate, add(gate, AROUND))
    assert found.caught
    assert len(found.pulled) >= 3
