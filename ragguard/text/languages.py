"""Tell which texts are of a language that a corpus does not speak.

Word counts of an English corpus find every word of a German page odd. Such a page is honest as
often as any other, so what counts words says nothing of it; everything else does. A language is
told by its commonest words, which no sentence does without; strings of optimised tokens, typing
errors and noise have none of any language. Neither have menus and clouds of tags: of those of a
document in another language it is asked that the corpus does not know most of their words, which it
does of tokens optimised for its own questions. A text in a script that the corpus does not write is
of another language whatever its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from ragguard.model import Doubles, Ints
from ragguard.text.tokens import worst_window
from ragguard.text.words import common_words, script_of

SHARE = 0.15  # of a text's words, from which commonest words of a language tell it
LEAST = 4  # and how many of them, at least
UNKNOWN = 0.5  # of a list's words, from which it is of its document's language
RUNS = 4  # stretches of other languages that a text is read without: titles, quotations, addresses
WRITTEN = 0.7  # share of a text's letters, from which their script is the text's
LETTERS = 20  # and how many of them, at least
TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}  # written mixed
COMMON = 300  # most frequent words of the corpus: of a language that it speaks itself

# The commonest words of languages written in letters and spaces.
WORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "ar": "في من على إلى أن هذا التي الذي ما لا هو كان عن مع هذه أو لم ذلك بعد كل قد إن بين "
        "كما حتى لكن ثم هي وقد ولا وهو وفي ومن غير عند أي قبل",
        "bg": "на и в да се за от не са по с че като е но ще до към или при след което който",
        "cs": "a v se na je že s z do o to i jako ve by pro za jsou od po který jeho ale si k",
        "da/no": "og i at er det en som på af for til med den de ikke et av har var fra om jeg "
        "men kan han å",
        "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine "
        "als auch es an werden aus er hat dass sie nach wird bei einer um am sind "
        "noch wie einem über ich du wir mein dein ihr mich dich dir mir wo was ja so "
        "nur",
        "en": "the of and to in a is that for it as was with be by on not he his but at are "
        "this have from or had an they which you were their we i my your",
        "el": "και το να του η της με που την για από στο είναι τα ο των τον δεν θα σε στην οι τη "
        "ένα μια αυτό ως ότι στη αλλά",
        "es": "de la que el en y a los se del las un por con no una su para es al lo como "
        "más o pero sus le ha me si sin sobre este ya entre cuando",
        "fa": "و در به از که این را با است برای آن یک خود تا کرد بر هم نیز شد می ها های بود شده "
        "باید",
        "fi": "ja on ei että se oli joka hän mutta niin myös kun ovat tai kuin jos sen "
        "mukaan ole hänen mitä tämä sekä",
        "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur "
        "ne se ce il sont la avec son aux d l c je vous nous mais ou",
        "he": "של את על לא הוא זה עם כי גם או אל כל היא יש אני אם מה רק בין אבל אך יותר היה לפי",
        "hi": "के में की है और से का को पर इस एक यह ने कि नहीं हैं भी था तो कर जो लिए हो या थे",
        "hu": "a az és hogy nem is egy ez meg de volt csak el mint már ha még azt aki vagy ki",
        "id": "yang dan di dengan untuk dari dalam ini itu pada tidak adalah ke oleh akan juga",
        "it": "di e il la che in a per un è del non con una i sono da al le si dei nel "
        "della come ma più lo gli alla anche io tu mi",
        "la": "et in est non ad ut cum quod qui ex sed si per esse ab sunt enim quae aut nec etiam",
        "nl": "de van een en het in is dat op te zijn met voor niet aan er die om ook als "
        "dan door maar bij uit naar worden ik je",
        "pl": "w i na z do się że nie jest to o jak za od po przez ale co dla są jego tym "
        "może który",
        "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como "
        "mas foi ao ele das tem à seu sua ou",
        "ro": "de și în a la cu nu o care pe că un din mai este se pentru au fi ce sau prin "
        "dar sunt",
        "ru": "и в не на что с он я как это по но из у к за от а так то же было для о бы все "
        "об его ее их был или ему при мы вы чтобы когда уже если только до под этого после перед "
        "где который кто",
        "sv": "och i att det som en på är av för med den till inte om ett han men var jag "
        "sig från vi",
        "tr": "ve bir bu da de için ile çok ne olarak daha olan gibi kadar sonra ama her ya en mi",
        "uk": "і в на не що з до та у як це за про від але для то його так по які є",
        "vi": "và của là có được cho trong không một người các với đã này những để khi đến về ở",
    }.items()
}


def _scripts(words: Iterable[str]) -> Counter[str]:
    """Count how many letters of words are in each script."""
    letters: Counter[str] = Counter()
    for word in words:
        if word.isascii():
            letters["LATIN"] += len(word)
        else:
            letters.update(TOGETHER.get(s := script_of(char), s) for char in word if char.isalpha())
    return letters


@lru_cache(1)
def _speakers_of_all() -> Mapping[str, tuple[int, ...]]:
    """Return which languages each commonest word is of."""
    speakers: dict[str, tuple[int, ...]] = {}
    for language, commonest in enumerate(WORDS.values()):
        for word in commonest:
            speakers[word] = (*speakers.get(word, ()), language)
    return speakers


def speech(words: Sequence[str]) -> tuple[Ints, str]:
    """Tell how much of a text is of each language, and what script it is in.

    Args:
        words: In lower case.

    Returns:
        How many of the words are among the commonest of each of `WORDS`, int64 (languages,), all 0
        where they are too few to tell any; and the script of nearly all its letters, empty where
        they are mixed or few.
    """
    speakers = _speakers_of_all()
    told = [language for word in words for language in speakers.get(word, ())]
    counts = np.bincount(np.array(told, dtype=np.int64), minlength=len(WORDS)).astype(np.int64)
    scripts = _scripts(words)
    letters, script = max(((n, name) for name, n in scripts.items()), default=(0, ""))
    if counts.max() < max(LEAST, SHARE * len(words)):
        counts[:] = 0
    return counts, script if letters >= max(LETTERS, WRITTEN * scripts.total()) else ""


def other_language(one: tuple[Ints, str], other: tuple[Ints, str]) -> bool:
    """Tell whether two texts are clearly in different languages.

    Languages that are near to each other share their commonest words: of each text its own language
    must say at least twice what the other's does.

    Args:
        one: From `speech`.
        other: Likewise.
    """
    (a, script_a), (b, script_b) = one, other
    if script_a and script_b and script_a != script_b:
        return True
    i, j = int(a.argmax()), int(b.argmax())
    return bool(i != j and a[i] >= 2 * a[j] and b[j] >= 2 * b[i] and a[i] and b[j])


class Languages:
    """What a corpus speaks.

    Args:
        counts: How many chunks of the corpus each word is in.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self._speakers: Mapping[str, Sequence[int]] | None = None
        self._written: frozenset[str] | None = None

    def strange(self, words: Sequence[str], abroad: bool = False) -> bool:
        """Tell whether a chunk is of a language, or in a script, that the corpus hardly has.

        A stretch of one is not judged by its script: optimised tokens may be of any.

        Args:
            words: All of a chunk's prose, in lower case.
            abroad: Whether the document that it is of is `foreign`.
        """
        if abroad and self._unknown(words):
            return True
        scripts = _scripts(words)
        for script, letters in scripts.items():
            if letters >= max(LETTERS, WRITTEN * scripts.total()):
                return script not in self._own_scripts() or self.foreign(words)
        return self.foreign(words)

    def foreign(self, words: Sequence[str]) -> bool:
        """Tell whether words are of a language that the corpus hardly has anything of.

        Args:
            words: Of a chunk's prose, or of a stretch of it, in lower case.
        """
        if self._speakers is None:
            self._speakers = self._others()
        told = [word for word in words if word in self._speakers]
        if len(told) < max(LEAST, SHARE * len(words)):
            return False
        words_of: dict[int, list[str]] = {}
        for word in told:
            for language in self._speakers[word]:
                words_of.setdefault(language, []).append(word)
        return any(
            len(set(spoken)) >= LEAST and len(spoken) >= SHARE * len(words)
            for spoken in words_of.values()
        )

    def _unknown(self, words: Sequence[str]) -> bool:
        """Tell whether the corpus has hardly one of two words of a text."""
        spelt = [word for word in words if word.isalpha()]
        known = sum(self._counts.get(word, 0) > 0 for word in spelt)
        return len(spelt) >= LEAST and len(spelt) - known >= UNKNOWN * len(spelt)

    def _own_scripts(self) -> frozenset[str]:
        """Scripts that the corpus writes: what some of its most frequent words are in."""
        if self._written is None:  # it looks at every word that the corpus knows
            found = _scripts(common_words(self._counts, COMMON))
            self._written = frozenset(name for name, n in found.items() if n >= LETTERS)
        return self._written

    def _others(self) -> dict[str, list[int]]:
        """Commonest words of languages, without the corpus's own, and which have each."""
        own = common_words(self._counts, COMMON)
        speakers: dict[str, list[int]] = {}
        for language, commonest in enumerate(WORDS.values()):
            for word in commonest - own:
                speakers.setdefault(word, []).append(language)
        return speakers

    def worst_window(
        self,
        values: Doubles,
        words: Sequence[str],
        width: int,
        prior: int,
        usual: float,
        abroad: bool = False,
    ) -> tuple[float, int]:
        """Find the highest mean over a window, reading past a few runs of other languages.

        Args:
            values: float64 (t,), one a word, or one a pair of adjacent words.
            words: The text's words.
            width: Words of the window.
            prior: Words of usual value added to every window.
            usual: That value.
            abroad: Whether the document that the text is of is `foreign`.

        Returns:
            The mean and where its window starts.
        """
        values = values.copy()
        score, place = worst_window(values, width, prior, usual)
        for _ in range(RUNS):
            stretch = words[place : place + width + 1]
            if score <= usual or not (self.foreign(stretch) or (abroad and self._unknown(stretch))):
                break
            values[place : place + width] = usual
            score, place = worst_window(values, width, prior, usual)
        return score, place
