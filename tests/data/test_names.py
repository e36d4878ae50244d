import pytest

from data.entities import EntityTable, mask_once, unmask
from data.names import find_names

GIVEN = [
    ("my name is john smith and i want a refund", "john smith"),
    ("My name is Priya Sharma", "Priya Sharma"),
    ("hi, my name's Bob.", "Bob"),
    ("MY NAME IS JOHN SMITH AND I WANT IT", "JOHN SMITH"),
    ("my name is john where is my order", "john"),
    ("My name is Will and will you help?", "Will"),
    ("My name is Mary-Jane O'Neil", "Mary-Jane O'Neil"),
    ("this is maria garcia speaking", "maria garcia"),
    ("I am called Ishmael.", "Ishmael"),
    ("Name: Jane Doe, order 12", "Jane Doe"),
    ("me llamo José García y quiero cambiarlo", "José García"),
    ("mi nombre es ana, mi pedido", "ana"),
    ("ich heiße Jürgen Müller und warte", "Jürgen Müller"),
    ("je m'appelle Zoé", "Zoé"),
    ("제 이름은 김민수입니다. 주문이 안 왔어요", "김민수"),
    ("私の名前は田中太郎です", "田中太郎"),
    ("меня зовут Иван Петров, где заказ", "Иван Петров"),
    ("मेरा नाम राज कुमार है", "राज कुमार"),
]
NONE = [
    "my name is not on the order",
    "my name is on the card",
    "My name is spelled wrong on the parcel",
    "my name is missing from it",
    "my name was entered wrong",
    "my name is",
    "my name is 😀",
    "this is the third time calling",
    "this is annoying, calling again",
    "i am called every day by your people",
    "what is your name?",
    "Product name: Galaxy",
    "mi nombre es incorrecto",
]


@pytest.mark.parametrize(("text", "name"), GIVEN, ids=[name for _, name in GIVEN])
def test_a_name_behind_a_phrase_is_masked_and_comes_back(text, name):
    table = EntityTable()
    masked = table.mask(text)
    assert masked == text.replace(name, "<name_1>", 1)
    assert table.values == {"<name_1>": name}
    assert unmask(masked, table.values) == text


@pytest.mark.parametrize("text", NONE)
def test_no_name_is_seen_where_none_is_given(text):
    assert find_names(text) == []
    assert mask_once(text) == []


def test_a_name_is_masked_wherever_the_dialogue_says_it():
    texts = ["Hello John", "my name is John Smith", "Thanks, JOHN. Mr smith, will you wait?"]
    table = EntityTable(texts)
    assert [table.mask(text) for text in texts] == [
        "Hello <name_1>",
        "my name is <name_1>",
        "Thanks, <name_1>. Mr <name_1>, will you wait?",
    ]
    assert table.values == {"<name_1>": "John Smith"}


def test_a_name_that_is_a_common_word_is_masked_only_where_it_is_written_as_a_name():
    table = EntityTable(["My name is Will"])
    assert (
        table.mask("will it come, Will? Will you look") == "will it come, <name_1>? Will you look"
    )


def test_titles_behind_korean_names_stay():
    table = EntityTable(["제 이름은 김민수입니다"])
    assert table.mask("김민수님, 확인했습니다") == "<name_1>님, 확인했습니다"


@pytest.mark.parametrize(
    ("introduction", "said", "masked"),
    [
        ("我叫王小明…", "王小明先生您好 尊敬的王小明", "<name_1>先生您好 尊敬的<name_1>"),
        ("我叫王小明。", "收到 A1王小明B2", "收到 A1<name_1>B2"),
        ("名前は田中です", "お待たせしました田中様", "お待たせしました<name_1>様"),
        ("名前は田中 太郎です", "太郎様と田中  太郎様", "<name_1>様と<name_1>様"),
        ("제 이름은 김민수입니다", "안녕하세요김민수고객님", "안녕하세요<name_1>고객님"),
        ("my name is 王小明", "尊敬的王小明先生", "尊敬的<name_1>先生"),
        ("my name is John", "尊敬的John先生, Johnson", "尊敬的<name_1>先生, Johnson"),
        ("名前は林です", "林様、林さん、森林の林道", "<name_1>様、<name_1>さん、森林の林道"),
    ],
)
def test_a_name_is_masked_where_the_script_leaves_no_space_around_it(introduction, said, masked):
    table = EntityTable([introduction, said])
    assert "<name_1>" in table.mask(introduction)
    assert table.mask(said) == masked


def test_a_name_is_masked_whatever_space_stands_in_it():
    table = EntityTable(["my name is Bo Li"])
    assert table.mask("  thanks,\nBo \n Li  !") == "  thanks,\n<name_1>  !"


def test_of_a_long_run_of_uncommon_words_the_first_is_taken():
    masked = EntityTable().mask("my name is john kettles jugs spoons")
    assert masked == "my name is <name_1> kettles jugs spoons"


@pytest.mark.parametrize("name", ["maria lopez de la cruz", "Ludwig van Beethoven"])
def test_particles_belong_to_the_name(name):
    assert EntityTable().mask(f"my name is {name} and I wait") == "my name is <name_1> and I wait"
