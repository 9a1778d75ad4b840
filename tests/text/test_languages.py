"""Texts of a language that the corpus does not speak."""

from __future__ import annotations

from collections import Counter
from collections.abc import ValuesView

import numpy as np
import pytest

from ragguard.text.languages import Languages, other_language, speech
from ragguard.text.tokens import worst_window
from ragguard.text.words import words
from tests.support.checks.views import handbook

GERMAN = (
    "Die Pumpe wird jeden Freitag vor dem Ende der Schicht abgeschaltet. Wer sie morgens wieder "
    "einschaltet, schreibt den Druck auf und meldet sich beim Leiter der Halle."
)
FRENCH = (
    "La pompe est arrêtée chaque vendredi avant la fin du service. Celui qui la remet en marche le "
    "matin note la pression et prévient le responsable de l'atelier."
)
SOUP = (
    "grit nationwide submissions folklore interest bryan paso dexter assumption musical "
    "basilenberg nonhra mixer handling rani street dubbed sheet suenity mag labelled"
)
NOISE = "qxz vkjw pqv zzkq wvx jqk xkcd vbq kqz xvz wqk zjx qvk jzw"
TYPOS = "Teh pmup wil be swithced of evry Firday befor teh edn of teh shfit adn nto latre tahn fvie"


def spoken(*texts: str) -> Languages:
    return Languages(Counter(w for text in texts for w in set(words(text))))


def foreign(to: Languages, text: str) -> bool:
    return to.strange(words(text))


@pytest.mark.parametrize("text", [GERMAN, FRENCH])
def test_a_page_of_another_language_is_foreign(text: str) -> None:
    assert foreign(spoken(*handbook()), text)


@pytest.mark.parametrize(
    "text", [SOUP, TYPOS, "3, 4, 6, 8, 16, 26, 64, 82", NOISE, "", "x", "{}();"]
)
def test_what_is_of_no_language_is_not(text: str) -> None:
    assert not foreign(spoken(*handbook()), text)


def test_no_page_of_the_corpus_is() -> None:
    known = spoken(*handbook())
    assert [text for text in handbook() if foreign(known, text)] == []


def test_a_corpus_speaks_each_language_that_much_of_it_is_in() -> None:
    both = spoken(*handbook()[:60], *[f"{GERMAN} {n}" for n in range(40)])
    assert not foreign(both, GERMAN)
    assert foreign(both, FRENCH)


def test_a_stretch_of_another_language_in_a_text_is_read_past() -> None:
    known = spoken(*handbook())
    prose = words(handbook()[20])[:60]
    for quoted, passed in ((FRENCH, True), (SOUP, False)):
        text = [*prose[:30], *words(quoted), *prose[30:]]
        odd = np.array(
            [1.0 if 30 <= i < 30 + len(words(quoted)) else 0.0 for i in range(len(text))]
        )
        score, place = known.worst_window(odd, text, 16, 2, 0.2)
        assert (score < 0.6) == passed
        assert passed or 14 <= place <= 30 + len(words(quoted))


def test_a_text_without_foreign_words_keeps_its_worst_window() -> None:
    known = spoken(*handbook())
    text = words(handbook()[20])
    values = np.random.default_rng(0).random(len(text))
    assert known.worst_window(values, text, 12, 3, 0.1) == worst_window(values, 12, 3, 0.1)


OTHER_SCRIPTS = {
    "ar": "تتوقف المضخة كل يوم جمعة قبل نهاية الوردية ومن يعيد تشغيلها في الصباح يكتب الضغط",
    "el": "Η αντλία σταματά κάθε Παρασκευή πριν από το τέλος της βάρδιας και όποιος την ανοίγει",
    "he": "המשאבה נכבית בכל יום שישי לפני סוף המשמרת ומי שמפעיל אותה בבוקר רושם את הלחץ",
    "hi": "पंप हर शुक्रवार को पाली के अंत से पहले बंद किया जाता है और जो इसे सुबह चालू करता है",
    "ja": "ポンプは毎週金曜日の勤務が終わる前に止められます。朝に動かす人は圧力を書きます。",
    "ko": "펌프는 매주 금요일 근무가 끝나기 전에 멈춘다. 다시 켜는 사람은 압력을 기록한다.",
    "ru": "Насос выключают каждую пятницу перед концом смены. Кто включает его, пишет давление.",
    "zh": "水泵在每个星期五的班次结束之前会停下来。早上重新打开它的人要把压力写下来,并且报告。",
}


@pytest.mark.parametrize("text", OTHER_SCRIPTS.values(), ids=OTHER_SCRIPTS)
def test_a_page_in_a_script_that_the_corpus_does_not_write_is_strange(text: str) -> None:
    english = spoken(*handbook())
    assert foreign(english, text)
    assert foreign(english, f"{text} pump 2026")  # with a name and a year in it
    spoken_too = spoken(*handbook(), *[f"{text} {n}" for n in range(200)])
    assert not foreign(spoken_too, text)


def test_a_script_excuses_no_stretch_of_a_text_and_no_text_that_is_half_another() -> None:
    english = spoken(*handbook())
    tokens = "泉 郡 湖 寺 城 井 松 藤 橋 堂 倉 郎 奈 沢 野 宮 谷 丸 戸 塚 杉 梅 竹 島 森 坂 浜"
    assert not english.foreign(words(tokens))
    assert not foreign(english, f"{tokens} {SOUP}")
    assert not foreign(english, "寺 松")  # too little to tell


TAGS = (
    "Fräsmaschine Gewindebohrer Drehbank Entgraten Kühlmittel Messschieber Hobelbank Schraubstock"
)


def test_a_list_in_a_page_of_another_language_is_of_that_language() -> None:
    english = spoken(*handbook())
    assert not foreign(english, TAGS)  # by itself words of no language
    assert english.strange(words(TAGS), abroad=True)
    odd = np.array([0.0] * 20 + [1.0] * 8)
    text = [*words(handbook()[20])[:20], *words(TAGS)]
    assert english.worst_window(odd, text, 8, 2, 0.2)[0] > 0.8
    assert english.worst_window(odd, text, 8, 2, 0.2, abroad=True)[0] < 0.6


def test_words_that_the_corpus_knows_are_its_own_wherever_they_stand() -> None:
    english = spoken(*handbook())
    own = sorted({w for w in words(handbook()[20]) if w.isalpha()})  # in an order nobody writes
    odd = np.ones(len(own))
    assert not english.strange(own, abroad=True)
    assert english.worst_window(odd, own, 8, 2, 0.2, abroad=True) == worst_window(odd, 8, 2, 0.2)


def test_what_a_corpus_writes_is_looked_up_once() -> None:
    looked = []

    class Counts(Counter[str]):
        def values(self) -> ValuesView[int]:
            looked.append(1)
            return super().values()

    corpus = Languages(Counts({f"word{n}": 2 for n in range(1_000)}))
    corpus.strange(words("several sentences about nothing that the corpus has"))
    before = len(looked)
    assert before
    corpus.strange(words("one more sentence about nothing that the corpus has"))
    assert len(looked) == before


SPOKEN = {
    "en": "the order is in the box and it was sent to you by the shop on the first of may",
    "es": "el pedido de la tienda se envió a la casa y no es para los que lo piden por la noche",
    "pt": "o pedido da loja foi enviado para a casa e não é para os que o pedem por uma noite",
    "ru": "заказ был отправлен из магазина, и он уже на пути к вам, но не на складе",
    "ja": "注文は店から発送されました。五月一日にお届けする予定です。",
}


@pytest.mark.parametrize("one", SPOKEN)
@pytest.mark.parametrize("other", SPOKEN)
def test_two_texts_are_of_one_language_or_clearly_of_two(one: str, other: str) -> None:
    a, b = (speech(words(SPOKEN[name])) for name in (one, other))
    assert other_language(a, b) is (one != other)


def test_a_text_whose_language_nothing_tells_is_in_no_other_one() -> None:
    options = speech(words("grpconv pwunconv shadow passwd gshadow --root CHROOT_DIR"))
    mixed = speech(words(f"{SPOKEN['en']} {SPOKEN['es']}"))
    assert not options[0].any()
    for text in SPOKEN.values():
        latin = speech(words(text))[1] == "LATIN"
        assert other_language(options, speech(words(text))) is not latin
    assert not other_language(mixed, speech(words(SPOKEN["en"])))
