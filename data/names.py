"""Names of people, where a phrase such as "my name is" introduces them."""

import re
from collections.abc import Iterator

from data.languages import STOP_WORDS

MAX_WORDS = 3
_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0963])"  # with the marks that belong to letters
_WORD = re.compile(rf"{_LETTER}(?:{_LETTER}|['’-](?={_LETTER}))*(?:(?<=\b[A-Z])\.)?")
_GAP = re.compile(r"[ \t]+")
# After each of these one to three words are a name, unless they are common words of the language.
_PHRASES = tuple(
    (language, re.compile(rf"(?<!\w){phrase}[ \t]*:?[ \t]*", re.IGNORECASE))
    for language, phrase in (
        ("en", r"my (?:full |first |last |given |sur)?name(?: is|['’]s|s| was|(?= ?:))"),
        ("en", r"(?:i am|i['’]?m) called"),
        ("en", r"(?<![^\s.,;!?] )(?:full |customer |first |last )?name(?= ?:)"),
        ("es", r"(?:me llamo|mi nombre(?: completo)? es)"),
        ("de", r"(?:ich hei(?:ß|ss)e|mein name ist)"),
        ("fr", r"(?:je m['’ ]?appelle|mon nom est)"),
        ("pt", r"(?:me chamo|chamo-me|(?:o )?meu nome(?: completo)? [ée])"),
        ("it", r"(?:mi chiamo|(?:il )?mio nome [èe])"),
        ("ru", r"(?:меня зовут|мо[её] имя)"),
        ("ar", r"اسمي"),
        ("hi", r"मेरा नाम"),
    )
)
_SPEAKING = re.compile(r"(?<!\w)this is (?=(?P<words>.{1,60}?) (?:speaking|calling)\b)", re.I)
_EAST_ASIAN = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:제|내|저의|나의) ?(?:이름|성함)은 ?"
        r"(?P<name>[가-힣]{2,4}?|[A-Za-z]+(?: [A-Za-z]+){0,2})"
        r"(?=(?:입니다|이에요|예요|이예요|에요|이고|이며|이라고|라고|이야|야|요)?(?:[\s.,!?]|$))",
        r"저는 ?(?P<name>[가-힣]{2,4}?)(?=(?:이)?라고 (?:합니다|해요|하는데))",
        r"名前は ?(?P<name>[\u3041-\u30ff\u3400-\u9fff々 ]{1,10}?)"
        r"(?=(?:です|と申します|といいます|と言います|[^\w ]|$))",
        r"(?:我叫|我的名字[是叫]|我姓名是) ?(?P<name>[\u3400-\u9fff·]{2,4})(?!\w)",
    )
)
# Han, Kana and Hangul have no spaces around names: particles, titles and greetings touch them.
_UNSPACED = r"가-힣\u3005\u3041-\u30ff\u3400-\u9fff"
_INSIDE = re.compile(rf"[^\W{_UNSPACED}]")  # of a word of another script
_START = re.compile(rf"[{_UNSPACED}]|(?<!{_INSIDE.pattern}){_INSIDE.pattern}")  # of a mention
_ALONE = re.compile(r"(?<!\w)\w(?:(?!\w)|(?=[가-힣\u3041-\u30ff様]))")  # of one character
_MAX_LENGTH = 60  # of a name that is looked for, in characters
_QUICK = re.compile(
    r"name|nombre|called|this is|llamo|hei(?:ß|ss)e|appelle|mon nom|chamo|nome|chiamo|зовут|"
    r"имя|اسمي|नाम|이름|성함|라고|名前|我叫|名字|姓名",
    re.IGNORECASE,
)
# Words that follow "my name is" and are no name, beside the language's stop-words.
_CHAT = {
    "en": "a an at as by from no so or if we us he she am were will would should shall may must "
    "here there now then still also just only even never always already again too very really "
    "wrong right correct incorrect missing different misspelled misspelt spelled spelt written "
    "printed listed shown showing changed entered registered associated attached mentioned given "
    "being getting coming saying called every everyone each another same all any some nothing "
    "something someone who why which whose while because since after before than ok okay yes hi "
    "hey sorry thank sir madam dear and number phone mobile email mail address account name "
    "password card payment refund return delivery package parcel product item tracking invoice "
    "purchase want need wanted needed ordered bought paid received got sent cancel cancelled "
    "track check update change changing know see tell let make give going trying looking calling "
    "speaking writing contacting asking waiting about under into out up down off over like fine "
    "good bad late broken damaged arrived came stopped today yesterday tomorrow last next first "
    "second third time day week month year one two three more less much many both until back "
    "their them his her its our these those im ive dont cant isnt wasnt hasnt didnt doesnt id",
    "es": "incorrecto correcto al a o si sí soy estoy quisiera mal escrito otro diferente",
    "de": "falsch richtig ich im am an bei aus als wenn weil möchte will anders geschrieben",
    "fr": "mal incorrect j au aux si ou mais écrit faux voudrais veux différent",
    "pt": "errado certo eu ao no na ou mas escrito diferente queria gostaria",
    "it": "sbagliato corretto io al o scritto diverso diversa",
    "ru": "я не и на в у с мой моя заказ указан неправильно",
    "ar": "في من على هو",
    "hi": "है हैं और गलत नहीं में",
}
_COMMON = {
    language: frozenset(f"{STOP_WORDS.get(language, '')} {words}".split())
    for language, words in _CHAT.items()
}
# Never a first name, however it is written; other common words are (Will, May, Mark).
_PARTICLES = frozenset(("de", "la", "del", "da", "dos", "van", "der", "von", "den", "bin", "al"))
_NEVER_TEXT = (
    "not on in the a an and i it my is was at of to for with as no from under but please this "
    "that you your order number wrong right missing spelled listed still also"
)
_NEVER = frozenset(_NEVER_TEXT.split())


def find_names(text: str) -> list[tuple[int, int]]:
    """Start and end of every name that a phrase introduces, in order, none overlapping."""
    if not _QUICK.search(text):
        return []
    spans = {
        (match.end(), end)
        for language, phrase in _PHRASES
        for match in phrase.finditer(text)
        if (end := _end_of_name(text, match.end(), _COMMON[language])) is not None
    }
    for match in _SPEAKING.finditer(text):
        end = match.end("words")
        words = text[match.end() : end].split()
        is_name = all(_WORD.fullmatch(word) and word.lower() not in _COMMON["en"] for word in words)
        if is_name and 1 <= len(words) <= MAX_WORDS:
            spans.add((match.end(), end))
    spans |= {match.span("name") for pattern in _EAST_ASIAN for match in pattern.finditer(text)}
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not found or start >= found[-1][1]:
            found.append((start, end))
    return found


def _end_of_name(text: str, start: int, common: frozenset[str]) -> int | None:
    """Where the name that begins at `start` ends; None where none begins there.

    A run of words that are not common ends at a common word, a mark or the text's end: up to three
    words of it are the name. From a longer run its capitalised words are taken, or the first word:
    in "my name is john kettle arrived broken" nothing shows where the name ends.
    """
    can_tell = not text.isupper()  # whether capitals say anything
    words = list(_words(text, start))
    if not words or (len(words[0].group()) < 2 and not words[0].group().isupper()):
        return None
    first = words[0].group()
    is_capital = can_tell and first[0].isupper()
    if first.lower() in (_NEVER if is_capital else common):
        return None
    run = num_real = 1
    while run < len(words):
        is_particle = words[run].group().lower() in _PARTICLES and run + 1 < len(words)
        if not is_particle and words[run].group().lower() in common:
            break
        run, num_real = run + 1, num_real + (not is_particle)
    while run > 1 and words[run - 1].group().lower() in _PARTICLES:
        run -= 1  # nothing came behind it that it could belong to
    if num_real > MAX_WORDS:
        run = 1
        while run < min(MAX_WORDS, len(words)) and can_tell and words[run].group()[0].isupper():
            run += 1
    return words[run - 1].end()


def _words(text: str, start: int) -> Iterator[re.Match[str]]:
    """The words from here to the next mark, more than a name may have."""
    for _ in range(2 * MAX_WORDS + 1):
        match = _WORD.match(text, start)
        if match is None:
            return
        yield match
        gap = _GAP.match(text, match.end())
        if gap is None:
            return
        start = gap.end()


class KnownNames:
    """The names that a dialogue introduces, to find them where they are said again."""

    def __init__(self) -> None:
        self._people: dict[str, str] = {}  # what may be said, in lower case -> the whole name
        self._lengths: set[int] = set()  # of what may be said

    def add(self, name: str) -> None:
        """Know a name, and each of its words of three letters or more."""
        name = " ".join(name.split())
        words = [word for word in name.split() if len(word) > 2 or not word.isascii()]
        self._people[name.lower()] = name
        for word in words:
            self._people.setdefault(word.lower(), name)
        self._lengths.update(n for n in map(len, (name, *words)) if n <= _MAX_LENGTH)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Start and end of every mention; of common words, those capitalised mid-sentence."""
        if not self._people:
            return []
        said = re.sub(r"\s+", " ", text)
        places = [match.start() for match in re.finditer(r"\S|(?<!\s)\s", text)]
        lengths = sorted(self._lengths, reverse=True)
        found: list[tuple[int, int]] = []
        end = 0
        for start in (match.start() for match in _START.finditer(said)):
            if start < end:
                continue
            ends = (start + length for length in lengths)
            end = next((stop for stop in ends if self._is_said(said, start, stop)), end)
            if end > start:
                found.append((places[start], places[end - 1] + 1))
        return found

    def _is_said(self, text: str, start: int, stop: int) -> bool:
        """Whether a known name stands here, given that one may begin here."""
        name = text[start:stop]
        if stop > len(text) or name.lower() not in self._people:
            return False
        if len(name) == 1:
            return _ALONE.match(text, start) is not None
        if name.lower() in _COMMON["en"] and not _is_a_name_here(text, start):
            return False
        return _INSIDE.match(name[-1]) is None or _INSIDE.match(text, stop) is None

    def whole(self, mention: str) -> str:
        """The whole name behind a mention; the mention itself where it is not known."""
        mention = " ".join(mention.split())
        return self._people.get(mention.lower(), mention)


def _is_a_name_here(text: str, start: int) -> bool:
    before = text[max(0, start - 2) : start].rstrip()  # spaces are single
    return text[start].isupper() and bool(before) and before[-1] not in ".!?"
