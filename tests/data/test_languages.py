import pytest

from data.languages import guess_language


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "where is my order, it has not come"),
        ("es", "hola, ¿dónde está mi pedido? no lo tengo"),
        ("de", "wo ist meine Bestellung, ich habe sie nicht"),
        ("fr", "bonjour, où est ma commande ? je ne l'ai pas"),
        ("pt", "olá, onde está o meu pedido? não tenho"),
        ("it", "ciao, dove è il mio ordine? non ho la merce"),
        ("ko", "제 주문 <order_1> 어디 있어요 iPhone"),
        ("ja", "注文はどこですか"),
        ("zh", "我的订单在哪里"),
        ("ru", "где мой заказ"),
        ("ar", "أين طلبي"),
        ("hi", "मेरा ऑर्डर कहाँ है"),
        ("unknown", "😀😀"),
        ("unknown", "asdf qwer"),
        ("unknown", ""),
    ],
)
def test_the_language_is_guessed(language, text):
    assert guess_language(text) == language
