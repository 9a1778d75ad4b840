"""Verify what reviewers decided, as an export holds it, with public keys alone.

A decision counts when enough reviewers of its day stand behind it (`trust.quorum`), by the trust
root in force at its commit, when it is about just these bytes and metadata, and when the log says
that it was carried out. The log names every opinion on a case: none may be left out, moved, or
added. A rejection that the log knows must be in the export: who has the log's key cannot leave one
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime

from ragguard.errors import IntegrityError
from ragguard.export import inventory as inventories
from ragguard.export.inventory import DeniedDocument, Inventory, ReviewerWord, about_of
from ragguard.export.verify_history import VerifiedHistory
from ragguard.trust import decision, quorum, strict_json
from ragguard.trust.canonical import digest, digest_bytes, parse_time
from ragguard.trust.quorum import About, Opinion, Quorum, Signed, Word

Read = Callable[[str], bytes]  # a file of the inventory, by its path
RESTORE = "restore"  # a commit that took decisions over: the log does not say when they were made


class DecisionVerifier:
    """Verifies the words of reviewers in an export.

    Args:
        read: Gives a file of the export.
        past: Its log and trust roots.
        there: Paths of its files.
        signers: Gives the key ids of all who signed a document that stood on a manifest.

    Attributes:
        notes: What is right and should be known.
    """

    def __init__(
        self,
        read: Read,
        past: VerifiedHistory,
        listed: Inventory,
        there: Collection[str],
        signers: Callable[[About, str], Sequence[str]],
    ) -> None:
        self._read = read
        self._past = past
        self._listed = listed
        self._there = there
        self._signers = signers
        self._heard = quorum.by_case(enumerate(past.entries))
        # Opinions on the cases that were looked at: what they must be about.
        self._wanted: dict[tuple[int, str], tuple[About, str, Opinion]] = {}
        self.notes: list[str] = []

    def releases(self) -> Iterator[str | tuple[About, tuple[Word, ...]]]:
        """Yield every release that is listed: its words, or what is wrong."""
        groups: dict[tuple[int, About, str, int], list[str]] = {}
        for entry in self._listed.decisions:
            try:
                case = decision.unverified(self._data(entry.envelope)).case
            except IntegrityError as error:
                yield f"release of {_label(entry)}: {error.message}"
                continue
            names = groups.setdefault((entry.log_index, about_of(entry), entry.manifest, case), [])
            if entry.envelope in names:
                yield f"release of {_label(entry)}: decision {entry.envelope[:12]}… is listed twice"
            else:
                names.append(entry.envelope)
        for (index, about, manifest, case), names in groups.items():
            try:
                signed = self._words(index, about, manifest, case, names, "release")
                tally = self._decided(index, about, manifest, signed, "release")
                if stray := set(names) - {word.envelope for word in tally.words}:
                    raise IntegrityError(
                        f"decision {min(stray)[:12]}… is listed and does not count; {tally.lacking}"
                    )
            except IntegrityError as error:
                yield f"release of {about[0]}/{about[1]}: {error.message}"
            else:
                yield about, tally.words

    def denial(self, denial: DeniedDocument) -> Quorum | None:
        """Return the words of a rejection; what is kept of the text is looked at too.

        Returns:
            `None` where words that the vault had lost are needed: what no reviewer can be asked
            about denies nothing anew. A note says so.

        Raises:
            IntegrityError: Any rule it breaks.
        """
        self._check_kept(denial)
        if inventories.decision_path(denial.envelope) not in self._there:
            self._note(denial, "its decision is not in the export")
            return None
        about = about_of(denial)
        case = decision.unverified(self._data(denial.envelope)).case
        names = [
            word.envelope
            for word in self._listed.opinions
            if word.log_index == denial.log_index and about_of(word) == about
        ]
        names.append(denial.envelope)
        words = self._words(denial.log_index, about, denial.manifest, case, names, "reject")
        there = [name for name in words if inventories.decision_path(name) in self._there]
        lost = len(words) - len(there)
        if lost:
            self._note(denial, f"not in the export are opinions on it: {lost}")
        try:
            return self._decided(denial.log_index, about, denial.manifest, there, "reject")
        except IntegrityError:
            if not lost:
                raise
            return None

    def opinions(self) -> Iterator[str]:
        """Tell what is wrong with the list of opinions; all releases and denials were looked at."""
        seen: set[tuple[int, str]] = set()
        taken_over = {(denial.log_index, about_of(denial)) for denial in self._listed.denied}
        for opinion in self._listed.opinions:
            key = (opinion.log_index, opinion.envelope)
            name = f"opinion {opinion.envelope[:12]}… on {_label(opinion)}"
            if key in seen:
                yield f"{name}: listed twice"
            seen.add(key)
            if (
                self._act(opinion.log_index) == RESTORE
                and (opinion.log_index, about_of(opinion)) in taken_over
            ):
                continue  # counted with the denial that was taken over
            if key not in self._wanted:
                yield f"{name}: belongs to no decision in this export"
                continue
            about, manifest, logged = self._wanted[key]
            if inventories.decision_path(opinion.envelope) not in self._there:
                continue  # said where it is needed
            try:
                if (about_of(opinion), opinion.manifest) != (about, manifest):
                    raise IntegrityError(
                        f"the case it was logged on is about {about[0]}/{about[1]}"
                    )
                self._opinion(opinion, logged)
            except IntegrityError as error:
                yield f"{name}: {error.message}"
        for (index, envelope), (about, _, logged) in self._wanted.items():
            if (index, envelope) in seen:
                continue
            problem = (
                f"opinion of {logged.reviewer!r} on {about[0]}/{about[1]}, entry {index} of the "
                "log: not in the export"
            )
            if self._listed.opinions:
                yield problem
            elif inventories.decision_path(envelope) not in self._there:
                self.notes.append(problem)  # an older version wrote it; enough agreed all the same

    # --- parts ------------------------------------------------------------------------------------

    def _words(
        self, index: int, about: About, manifest: str, case: int, names: Sequence[str], action: str
    ) -> list[str]:
        """Envelopes of all words on a case, oldest first, the deciding one last.

        Args:
            index: Entry of the commit that carried the decision out.
            about: The document.
            manifest: It stood on.
            names: Envelopes that are listed with that commit.
            action: What was decided.

        Raises:
            IntegrityError: The log has another decision there.
        """
        act = self._act(index)
        if act not in (action, RESTORE) or "commit" not in self._past.entries[index]:
            raise IntegrityError("not the decision that was logged")
        before: list[tuple[int, Opinion]] = []
        if act == action:
            before = [(n, opinion) for n, opinion in self._heard.get(case, ()) if n < index]
        for n, opinion in before:
            self._wanted[n, opinion.envelope] = (about, manifest, opinion)
        earlier = [opinion.envelope for _, opinion in before]
        deciding = [name for name in names if name not in earlier]
        if not deciding or (act == action and len(deciding) > 1):
            raise IntegrityError(f"{len(deciding)} decisions carry it out, expected one")
        # One commit may carry out many decisions; its entry names none of them then.
        if self._past.entries[index].get("decision") not in (deciding[-1], None):
            raise IntegrityError("the log has another decision there")
        if not self._listed.opinions:  # an older version left those out that did not agree
            earlier = [n for n in earlier if inventories.decision_path(n) in self._there]
        return [*earlier, *deciding]

    def _decided(
        self, index: int, about: About, manifest: str, names: Sequence[str], action: str
    ) -> Quorum:
        """Count who decided, by the trust root in force at the commit.

        Raises:
            IntegrityError: Too few did, or it is about something else.
        """
        signed: list[Signed] = [(name, self._data(name)) for name in names]
        at, trusted = None, [self._past.root_at(index)]
        if self._act(index) == RESTORE:
            # When a decision was made that a restored workspace took over, its log does not say.
            trusted = list(reversed(self._past.roots_since(manifest)))
        else:
            at = self._time(index)
        return quorum.decided(signed, trusted, about, action, self._signers(about, manifest), at)

    def _opinion(self, listed: ReviewerWord, logged: Opinion) -> None:
        """Verify an opinion by the trust root in force when it was logged.

        Raises:
            IntegrityError: Any rule it breaks.
        """
        root, at = self._past.root_at(listed.log_index), self._time(listed.log_index)
        signers = self._signers(about_of(listed), listed.manifest)
        statement, key = decision.authenticate(self._data(listed.envelope), root, signers, at)
        about = (statement.subject, statement.digest, statement.metadata_digest)
        if about != (_label(listed), listed.digest, listed.metadata_digest):
            raise IntegrityError("it is about something else")
        if (statement.case, statement.action, key.keyid) != (
            logged.case,
            logged.action,
            logged.keyid,
        ):
            raise IntegrityError("it is not what was logged")

    def _check_kept(self, denial: DeniedDocument) -> None:
        if digest(dict(denial.metadata)) != denial.metadata_digest:
            raise IntegrityError("its metadata is not the one of its digest")
        for name in (denial.sketches, denial.vectors):
            if name is not None:
                read_kept(self._read, name)
        if denial.texts is not None:
            texts = texts_of(read_kept(self._read, denial.texts))
            if digest_bytes("\n".join(texts).encode()) != denial.text_digest:
                raise IntegrityError("its texts are not those of its digest")

    def _data(self, name: str) -> bytes:
        data = self._read(inventories.decision_path(name))
        if digest_bytes(data) != name:
            raise IntegrityError("not the decision that was logged")
        return data

    def _act(self, index: int) -> object:
        return self._past.entries[index].get("act") if index < len(self._past.entries) else None

    def _time(self, index: int) -> datetime:
        try:
            return parse_time(self._past.entries[index]["at"])
        except (KeyError, TypeError, ValueError):
            raise IntegrityError(f"entry {index} of the log has no time") from None

    def _note(self, denial: DeniedDocument, reason: str) -> None:
        self.notes.append(f"{_label(denial)}: denied, but {reason}")


def _label(listed: ReviewerWord | DeniedDocument) -> str:
    return f"{listed.source}/{listed.document}"


def read_kept(read: Read, name: str) -> bytes:
    """Tell what is kept of denied text, by its digest.

    Raises:
        IntegrityError: Not there, or other bytes.
    """
    data = read(inventories.denied_path(name))
    if digest_bytes(data) != name:
        raise IntegrityError(f"{inventories.denied_path(name)}: stands under another digest")
    return data


def texts_of(data: bytes) -> list[str]:
    """List texts of the chunks of a denied document.

    Raises:
        IntegrityError: No list of texts.
    """
    texts = strict_json.parse(
        data, what="denied texts", max_bytes=inventories.MAX_FILE, max_depth=2
    )
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise IntegrityError("denied texts: no list of texts")
    return texts


def left_out(past: VerifiedHistory, listed: Iterable[DeniedDocument]) -> Iterator[str]:
    """Rejections that the log knows and the inventory does not, a sentence each.

    Where one commit carried out many, its entry has their number and no names: just so many
    different decisions must be listed, each of them once.
    """
    known = {(denial.log_index, denial.envelope) for denial in listed}
    seen = Counter(envelope for _, envelope in known)
    yield from (f"denial by decision {e[:12]}…: listed twice" for e, n in seen.items() if n > 1)
    numbers = Counter(index for index, _ in known)
    for index, entry in enumerate(past.entries):
        counts = entry.get("counts")
        denies = isinstance(counts, dict) and counts.get("denied")
        envelope = entry.get("decision")
        if denies and isinstance(envelope, str) and (index, envelope) not in known:
            yield f"denial by decision {envelope[:12]}…: logged, entry {index}, and not in it"
        elif denies and envelope is None and numbers[index] != denies:
            yield f"denials: {denies} logged, entry {index}, and {numbers[index]} of them in it"
