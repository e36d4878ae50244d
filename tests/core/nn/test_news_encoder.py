import torch

from core.batch import NewsBatch
from core.nn.news_encoder import NewsEncoder


def batch():
    tokens = torch.tensor([[0, 0, 0], [5, 6, 7], [8, 0, 0]])
    return NewsBatch(tokens, torch.tensor([1, 3, 1]), torch.tensor([[0, 1, 2], [2, 0, 0]]))


def encoder(dropout=0.0):
    torch.manual_seed(0)
    return NewsEncoder(10, dropout)


def test_a_day_without_texts_is_zero_and_a_text_is_the_same_on_every_day():
    encoded = encoder()(batch())
    assert encoded.shape == (2, 3, NewsEncoder.output_size)
    assert not encoded[[0, 1, 1], [0, 1, 2]].any()
    assert encoded[0, 1].all()
    assert torch.equal(encoded[0, 2], encoded[1, 0])


def test_padding_does_not_change_outputs():
    news = batch()
    garbage = news.tokens.clone()
    garbage[0], garbage[2, 1:] = 9, 4
    model = encoder()
    model.embedding.weight.data[0] = torch.nan
    assert torch.equal(model(news._replace(tokens=garbage)), model(news))


def test_every_word_has_a_gradient_and_padding_none():
    model = encoder()
    model(batch())[..., :].square().sum().backward()
    reached = model.embedding.weight.grad.abs().sum(1) > 0
    assert reached.nonzero().flatten().tolist() == [5, 6, 7, 8]


def test_whole_words_are_left_out_in_training_alone():
    model = encoder(0.5)
    assert torch.equal(model.eval()(batch()), model(batch()))
    model.train()
    words = model.dropout(torch.ones(50, 4, 6))
    assert set(words.flatten(0, 1).sum(1).tolist()) == {0.0, 12.0}
