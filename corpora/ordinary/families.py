"""Writes the pages of corpora/ordinary that come from templates: python corpora/ordinary/families.py

Same output every time. The pages that are written by hand stand in v1 beside them and are not
touched. Every name, place, product and figure is invented.
"""

from __future__ import annotations

import random
from pathlib import Path

V1 = Path(__file__).resolve().parent / "v1"
TOWNS = (
    ("Aldermere", "Wexcombe", "river port", "the mill race", 14200, "boat building"),
    ("Brackwater", "Wexcombe", "market town", "the covered market", 8300, "cheese"),
    ("Corrie Vale", "Northmarch", "mining village", "the slate terraces", 2100, "roofing slate"),
    ("Dunmarrow", "Northmarch", "garrison town", "the old barracks", 17900, "knitwear"),
    ("Eastlock", "Pellshire", "canal town", "the five locks", 6400, "narrow boats"),
    ("Fennbridge", "Pellshire", "cathedral city", "the west front", 41800, "printing"),
    ("Gorsely", "Pellshire", "spa town", "the pump room", 9900, "mineral water"),
    ("Hathersby", "Wexcombe", "fishing village", "the harbour wall", 1800, "smoked fish"),
    ("Inverlaith", "Northmarch", "ferry port", "the lighthouse", 5200, "seaweed farming"),
    ("Kettlewick", "Pellshire", "railway town", "the engine shed", 23700, "wagon repair"),
    ("Lowenthorpe", "Wexcombe", "farming village", "the tithe barn", 950, "barley"),
    ("Marlstone", "Northmarch", "quarry town", "the amphitheatre", 7600, "building stone"),
)
OFFICES = (
    ("Porto", "Rua das Flores 88", "Ines", "support and billing", "a roof terrace", 64),
    ("Gdansk", "Stocznia Yard 4", "Pawel", "the storage team", "a climbing wall", 112),
    ("Leeds", "18 Foundry Lane", "Harriet", "sales and training", "two quiet rooms", 41),
    ("Graz", "Annenstrasse 30", "Lukas", "hardware and labs", "a workshop", 57),
    ("Tartu", "Riia 22", "Kadri", "the search team", "a sauna on Thursdays", 38),
    ("Ghent", "Dok Noord 7", "Bram", "design and research", "a bicycle cellar", 45),
    ("Turin", "Via Nizza 230", "Chiara", "mapping", "an espresso bar", 52),
    ("Malmo", "Skeppsbron 11", "Elin", "the mobile apps", "a view of the harbour", 33),
)
JOBS = (
    ("Backend engineer", "engineering", "services that take orders", "Go or Java", "Gdansk"),
    ("Frontend engineer", "engineering", "the customer pages", "TypeScript", "Malmo"),
    ("Data analyst", "finance", "the weekly figures", "SQL and a plotting library", "Ghent"),
    ("Support agent", "support", "questions from customers", "two languages", "Porto"),
    ("Lab technician", "hardware", "test rigs", "soldering and patience", "Graz"),
    ("Product designer", "design", "flows and prototypes", "interviews with users", "Ghent"),
    ("Site reliability engineer", "engineering", "the clusters", "Linux and on-call work", "Tartu"),
    ("Technical writer", "documentation", "guides and reference pages", "clear English", "Leeds"),
    ("Recruiter", "people", "interviews and offers", "talking to strangers", "Leeds"),
    ("Cartographer", "mapping", "the base map", "geodesy", "Turin"),
)
CALLS = (
    ("create_queue", "POST", "/v2/queues", "Creates a queue.", "name", "retention_days"),
    ("delete_queue", "DELETE", "/v2/queues/{id}", "Deletes a queue.", "id", "force"),
    ("list_queues", "GET", "/v2/queues", "Lists the queues of a project.", "project", "page"),
    ("put_message", "POST", "/v2/messages", "Puts a message into a queue.", "queue", "delay"),
    ("take_message", "GET", "/v2/messages/next", "Takes the oldest message.", "queue", "wait"),
    ("ack_message", "POST", "/v2/messages/{id}/ack", "Marks a message as done.", "id", "receipt"),
    ("create_topic", "POST", "/v2/topics", "Creates a topic.", "name", "partitions"),
    ("delete_topic", "DELETE", "/v2/topics/{id}", "Deletes a topic.", "id", "force"),
    ("list_topics", "GET", "/v2/topics", "Lists the topics of a project.", "project", "page"),
    ("subscribe", "POST", "/v2/subscriptions", "Subscribes to a topic.", "topic", "filter"),
    ("unsubscribe", "DELETE", "/v2/subscriptions/{id}", "Ends a subscription.", "id", "drain"),
    ("rotate_key", "POST", "/v2/keys/{id}/rotate", "Replaces an API key.", "id", "grace_hours"),
    ("list_keys", "GET", "/v2/keys", "Lists API keys without their secrets.", "project", "page"),
    ("get_usage", "GET", "/v2/usage", "Returns what was used in a month.", "month", "by_queue"),
)
ABOUT = {
    "name": "1 to 64 letters, digits and hyphens; must be unique in the project",
    "id": "as returned when it was created",
    "project": "the default project is used when it is left out",
    "queue": "name or id of the queue",
    "topic": "name or id of the topic",
    "month": "in the form 2026-04",
    "retention_days": "how long messages are kept, 1 to 14; 4 by default",
    "force": "also when there are still messages in it",
    "page": "cursor of the next page; leave it out for the first",
    "delay": "seconds until it can be taken, up to 900",
    "wait": "seconds to wait for a message, up to 20",
    "receipt": "the receipt that came with the message",
    "partitions": "1 to 32; cannot be changed later",
    "filter": "an expression over the attributes of messages",
    "drain": "deliver what is left first",
    "grace_hours": "for how long the old key still works, 24 by default",
    "by_queue": "one line per queue instead of one for the project",
}
DISHES = (
    "lentil soup with lemon", "mushroom risotto", "fish pie with peas", "chickpea curry and rice",
    "roast squash with feta", "chicken in mustard sauce", "potato and leek bake", "bean chilli",
    "spinach dumplings", "noodles with greens and tofu", "beef stew with barley", "tomato tart",
    "sweet potato wedges", "beetroot salad with walnuts", "trout with almonds", "pea soup",
    "aubergine lasagne", "pork with apples", "cabbage rolls", "couscous with herbs",
)
PUDDINGS = ("rice pudding", "apple crumble", "yoghurt and honey", "plum cake", "fruit salad")
TOOLS = (
    ("qtail", "follow a queue and print its messages", "QUEUE", "-n", "NUM", "stop after NUM"),
    ("qput", "put lines of standard input into a queue", "QUEUE", "-d", "SEC", "delay by SEC"),
    ("qcount", "count the messages of queues", "QUEUE...", "-a", "", "count hidden ones too"),
    ("qmove", "move messages from one queue to another", "FROM TO", "-l", "NUM", "at most NUM"),
    ("qdump", "write a queue to a file", "QUEUE FILE", "-z", "", "compress with zstd"),
    ("qload", "read a file written by qdump", "FILE QUEUE", "-k", "", "keep going on errors"),
)
CHANGES = {
    "added": (
        "`qtail --since` takes a time of day", "Queues can be renamed", "Dark theme in the console",
        "New tasks: archive, restore and compare", "Export of usage as CSV",
        "Keyboard shortcuts for the message list", "Alerts can be sent to a webhook",
    ),
    "fixed": (
        "A crash when a topic had no partitions", "The clock in the footer was an hour late",
        "Long names broke the table on small screens", "`qmove` left one message behind",
        "The second page of results repeated the last line of the first",
        "A memory leak in the Windows client", "Wrong plural in the Polish translation",
    ),
    "changed": (
        "The default retention is 4 days instead of 7", "Python 3.9 is no longer supported",
        "You are now asked before a queue with messages is deleted",
        "The old console is gone; ignore the banner if you still see it until the cache expires",
        "System messages are shown in grey", "Log lines carry the request id",
    ),
}  # fmt: skip


def write(name: str, text: str) -> None:
    path = V1 / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.strip("\n") + "\n", "utf-8")


def slug(name: str) -> str:
    return name.lower().replace(" ", "-")


def towns() -> None:
    for name, county, kind, sight, people, trade in TOWNS:
        text = (
            f"# {name}\n\n{name} is a {kind} in {county}, with {people:,} inhabitants at the last "
            f"count. It is known for {sight} and for {trade}.\n\n## Getting there\n\nTrains stop "
            f"at {name} every {15 if people > 9000 else 60} minutes. Visitors with a car can park "
            f"behind the station.\n\n## See also\n\n- [Towns of {county}]({slug(county)}.md)\n"
            "- [Railway map](railway-map.txt)\n"
        )
        write(f"gazetteer/{slug(name)}.md", text)


def offices() -> None:
    for city, street, host, teams, extra, desks in OFFICES:
        text = (
            f"---\ntitle: {city} office\ndescription: Address, desks and people of our {city} "
            f"office\ntags: [offices, travel]\n---\n\n# {city}\n\nOur {city} office is at {street}. "
            f"It has {desks} desks and {extra}, and is home to {teams}.\n\n## When you visit\n\n"
            f"Tell {host} at the front desk a day before you come. You must wear your badge and you "
            "must not hold the door for people you do not know. The wifi password is on the card "
            "at the desk; please do not write it down anywhere else.\n\n## In an emergency\n\nLeave "
            "by the nearest stairs and gather in the yard. Do not use the lifts. Call 112.\n\n"
            "Last reviewed: March 2026. Owner: workplace team.\n"
        )
        write(f"offices/{slug(city)}.md", text)


def jobs() -> None:
    for title, team, task, skill, city in JOBS:
        text = (
            f"{title}\n{'=' * len(title)}\n\n:Team: {team}\n:Place: {city} or remote\n:Contract: "
            f"permanent\n\nAs a {title.lower()} you will look after {task}. You are part of the "
            f"{team} team, who plan their work every second Monday.\n\nWhat you bring\n"
            f"--------------\n\n* Experience with {skill}.\n* You act on your own where you can and "
            "ask where you cannot.\n* You can explain a decision to people of other trades.\n\n"
            "What we offer\n-------------\n\n* 28 days of leave and a budget for books.\n* A laptop "
            "of your choice.\n\nHow to apply\n------------\n\nSend a short letter and nothing else; "
            "we do not want a photograph. You will hear from us within two weeks.\n"
        )
        write(f"jobs/{slug(title)}.rst", text)


def calls() -> None:
    for name, verb, path, summary, needed, other in CALLS:
        body = f'{{"{needed}": "..."}}' if verb == "POST" else ""
        text = (
            f"{name}\n{'=' * len(name)}\n\n.. http:{verb.lower()}:: {path}\n\n   {summary}\n\n"
            f"   :param {needed}: required; {ABOUT[needed]}.\n   :param {other}: optional; "
            f"{ABOUT[other]}.\n   :status 200: done.\n   :status 401: the token is missing or has "
            "expired.\n   :status 429: too many requests; wait as long as ``Retry-After`` says.\n\n"
            "Example\n-------\n\n.. code-block:: console\n\n   $ curl -X "
            f"{verb} https://api.example.com{path} \\\n       -H \"Authorization: Bearer $TOKEN\""
            + (f" \\\n       -d '{body}'" if body else "")
            + "\n\nThe answer is a JSON object. Never put a token into a URL: addresses end up in "
            "logs.\n\n.. seealso:: :doc:`errors`, :doc:`limits`\n"
        )
        write(f"api/{name}.rst", text)


def menus() -> None:
    rng = random.Random(7)
    for week in range(14, 22):
        days = "".join(
            f"| {day} | {first} | {second} | {rng.choice(PUDDINGS)} |\n"
            for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
            for first, second in [rng.sample(DISHES, 2)]
        )
        text = (
            f"# Canteen, week {week}\n\n| Day | Dish 1 | Dish 2 (vegetarian on request) | Pudding |\n"
            f"|---|---|---|---|\n{days}\nServed from 11:45 to 13:45. Ask at the counter about "
            "allergens. Please return your tray.\n"
        )
        write(f"canteen/week-{week}.md", text)


def manuals() -> None:
    for name, what, arguments, option, value, meaning in TOOLS:
        line = f"{option} {value}".strip()
        text = (
            f"{name.upper()}(1)                  Queue tools manual                  "
            f"{name.upper()}(1)\n\nNAME\n       {name} - {what}\n\nSYNOPSIS\n       {name} "
            f"[{line}] [-v] {arguments}\n\nDESCRIPTION\n       {name} lets you {what}. It reads the "
            "address of the server from\n       QUEUE_URL and the token from QUEUE_TOKEN. A token "
            f"that is given as an\n       argument is ignored.\n\nOPTIONS\n       {line}\n"
            f"              {meaning.capitalize()}.\n\n       -v     Say what is done. Repeat for "
            "more.\n\n       --help\n              Print this text and exit.\n\nEXIT STATUS\n"
            "       0      All went well.\n       1      Something could not be read or written.\n"
            "       2      Wrong usage.\n\nSEE ALSO\n       "
            + ", ".join(f"{t[0]}(1)" for t in TOOLS if t[0] != name)
            + "\n\n                                   May 2026\n"
        )
        write(f"man/{name}.1.txt", text)


def releases() -> None:
    rng = random.Random(11)
    for minor in range(3, 11):
        parts = [f"# Kestrel 4.{minor}\n\nReleased on {rng.randint(1, 28)} {rng.choice(('April', 'June', 'September'))} {2024 + minor // 7}.\n"]
        for heading, lines in CHANGES.items():
            chosen = rng.sample(lines, 3)
            parts.append(f"## {heading.capitalize()}\n\n" + "\n".join(f"- {c} (#{rng.randint(900, 2400)})" for c in chosen) + "\n")
        parts.append(
            "---\n\n**Full list**: [compare](https://code.example.com/kestrel/compare/"
            f"v4.{minor - 1}...v4.{minor}?expand=1)\n"
        )
        write(f"releases/kestrel-4.{minor}.md", "\n".join(parts))


def minutes() -> None:
    rng = random.Random(3)
    topics = (
        ("Heating", "The valve on the second floor sticks.", "Jonas asks the landlord for a date."),
        ("Summer party", "The garden is free on the last Friday of June.", "Mira books the band."),
        ("Parking", "Two bays go to bicycles.", "The board informs the tenants by letter."),
        ("Budget", "Costs are 3 % below plan.", "No action."),
        ("Roof", "Three offers came in, from 18,400 to 22,900 euro.", "The cheapest is asked again."),
        ("Cleaning", "The stairs are cleaned on Tuesdays from now on.", "A note goes up in the hall."),
        ("Insurance", "The policy is renewed until 2028.", "Tomas signs."),
    )
    for number in range(1, 7):
        chosen = rng.sample(topics, 3)
        items = "\n\n".join(f"{i}. {t}\n   {said}\n   -> {todo}" for i, (t, said, todo) in enumerate(chosen, 1))
        text = (
            f"Minutes of the house meeting no. {number}\n\nDate: {rng.randint(1, 28)}.{number + 2}.2026, "
            f"18:30\nPresent: {rng.randint(7, 15)} owners, the manager\nMinutes: the manager\n\n{items}\n\n"
            "Next meeting: first Wednesday of the month. The meeting closed at 19:50.\n"
        )
        write(f"minutes/meeting-{number:02d}.txt", text)


if __name__ == "__main__":
    for job in (towns, offices, jobs, calls, menus, manuals, releases, minutes):
        job()
