"""Messages that no support desk is there for: what a confidence has to be learned against.

Their wording is fixed and their number small: a confidence fitted on them learns what unfamiliar
text looks like, not these sentences. Every second one is kept back for measuring.
"""

import random

QUESTIONS = (
    "who wrote romeo and juliet",
    "what is the capital of France",
    "how tall is mount everest",
    "what is the square root of 144",
    "who won the world cup in 1998",
    "tell me a joke about penguins",
    "translate good morning into Italian",
    "what does photosynthesis mean",
    "write a poem about autumn leaves",
    "is it going to rain in Madrid tomorrow",
    "how do I boil an egg",
    "what is your favourite colour",
    "do you believe in ghosts",
    "who is the president of Brazil",
    "explain quantum entanglement to a child",
    "how many planets are there",
    "I have had a headache for three days, what medicine should I take",
    "what is the best way to learn the piano",
    "solve x squared minus 4 equals zero",
    "when did the roman empire fall",
    "can you help me with my homework on volcanoes",
    "should I buy shares in a bank",
    "write a python function that sorts a list",
    "how do vaccines work",
    "are you a vegetarian",
    "what is the meaning of life",
    "how long does a cat live",
    "my neighbour's dog barks all night, can I sue him",
    "who painted the mona lisa",
    "which film won the oscar last year",
    "what should I cook for dinner with rice and tomatoes",
    "how far is the moon from the earth",
    "recommend a good book about the second world war",
    "what time is it in Tokyo",
    "do you know any good restaurants in Lisbon",
    "how do I change a flat tyre on a motorway",
    "my girlfriend left me and I feel terrible",
    "why is the sky blue",
    "sing me a song",
    "what are the rules of chess",
    "who discovered penicillin",
    "give me three facts about elephants",
    "is there life on mars",
    "what is inflation and who is to blame for it",
    "can you drive a car",
    "what is the tallest building in the world",
    "tell me the plot of moby dick",
    "how do I get rid of mosquitoes",
    "who are you going to vote for",
    "what is the boiling point of water at 3000 metres",
    "explain the offside rule",
    "which language is spoken in Ethiopia",
    "quelle est la capitale de l'Italie",
    "qui a peint la joconde",
    "raconte-moi une blague",
    "combien de jours compte une année",
    "cuál es la capital de Perú",
    "quién escribió don quijote",
    "cuéntame un chiste",
    "va a llover mañana en Sevilla",
    "wie hoch ist der Mont Blanc",
    "wer hat die Glühbirne erfunden",
    "erzähl mir einen Witz",
    "wie wird das Wetter am Sonntag",
    "qual è la capitale della Spagna",
    "quanto fa sette per otto",
    "qual é o maior rio do mundo",
    "quem descobriu o Brasil",
    "프랑스의 수도는 어디인가요",
    "오늘 서울 날씨 어때",
    "재미있는 이야기 하나 해줘",
    "세계에서 가장 높은 산은 뭐야",
    "日本の首都はどこですか",
    "冗談を言ってください",
    "中国最长的河是哪条",
    "给我写一首诗",
    "кто написал войну и мир",
    "какая столица Канады",
    "ما هي عاصمة مصر",
    "भारत की राजधानी क्या है",
)
NUM_NOISE = 20  # lines of it in each half
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def out_of_domain_messages(is_kept_back: bool) -> list[str]:
    """Questions about anything else, in a dozen languages, and keyboard noise.

    Args:
        is_kept_back: The half for measuring instead of the half for fitting.
    """
    generator = random.Random(f"noise {is_kept_back}")
    noise = [_noise(generator) for _ in range(NUM_NOISE)]
    return [*QUESTIONS[int(is_kept_back) :: 2], *noise]


def _noise(generator: random.Random) -> str:
    """Fingers on one row of the keyboard, or a run of signs."""
    if generator.random() < 0.2:
        return "".join(generator.choices("?!.,;:#*+-_", k=generator.randint(3, 12)))
    words = generator.randint(1, 5)
    return " ".join(
        "".join(generator.choices(generator.choice(_ROWS), k=generator.randint(3, 9)))
        for _ in range(words)
    )
