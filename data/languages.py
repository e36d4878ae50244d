"""A guess at the language of a message, by its script and its commonest words."""

import re

# The commonest words of six languages in Latin letters, each in a few languages at most.
STOP_WORDS = {
    "en": "the is my to and it i you of for not in on was have with please this that are be where "
    "what how can me your order has been when do did but they get would could help hello thanks",
    "es": "el la los las es mi que de y no en un una por para con está mis dónde cuándo cómo puedo "
    "quiero pedido tengo gracias hola del se lo ha pero su me favor necesito ayuda cuenta",
    "de": "der die das ist mein meine ich nicht und zu ein eine mit auf für wo wann wie kann habe "
    "bitte es sie von den dem noch wurde bestellung danke hallo aber mir auch ihre haben wird",
    "fr": "le la les est mon ma je ne pas et de un une pour avec où quand comment puis ai vous "
    "commande merci bonjour des du que mais il elle sur dans votre mes cette été suis plaît",
    "pt": "o a os as é meu minha que de e não em um uma por para com está onde quando como posso "
    "quero pedido tenho obrigado obrigada olá do da você mas se foi já meus ajuda estou preciso",
    "it": "il lo la gli è mio mia che di e non in un una per con dove quando come posso voglio "
    "ordine ho grazie ciao del della sono ma si mi ha stato buongiorno questo vorrei mie ancora",
}
_STOPS = {language: frozenset(words.split()) for language, words in STOP_WORDS.items()}
_SCRIPTS = {
    "ko": re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]"),
    "ja": re.compile(r"[\u3041-\u30fa\u30fc]"),
    "zh": re.compile(r"[\u3400-\u9fff]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
}
_LETTER = re.compile(r"[^\W\d_]")
_PLACEHOLDER = re.compile(r"<[a-z]+_[\dx]>")


def guess_language(text: str) -> str:
    """The language of a text, as a two-letter code; a guess.

    A script that a third of the letters belong to decides (Hangul, Kana, Han, Cyrillic, Arabic,
    Devanagari: other languages in these scripts are taken for the commonest one). Latin letters go
    to the language with the most stop-words in the text.

    Args:
        text: Masked or not; the first few hundred words are enough.

    Returns:
        en, es, de, fr, pt, it, ko, ja, zh, ru, ar, hi, or `unknown` where no language has more
        stop-words in it than every other.
    """
    text = _PLACEHOLDER.sub(" ", text)
    letters = len(_LETTER.findall(text))
    for language, script in _SCRIPTS.items():
        if letters and 3 * len(script.findall(text)) >= letters:
            return language
    words = re.findall(r"[^\W\d_]+", text.lower())
    hits = {language: sum(word in stops for word in words) for language, stops in _STOPS.items()}
    best = max(hits, key=lambda language: hits[language])
    is_clear = hits[best] > sorted(hits.values())[-2]
    return best if is_clear else "unknown"
