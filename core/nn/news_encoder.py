"""A recurrent network over each day's texts."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.batch import NewsBatch
from core.nn.recurrent import RecurrentConfig, RecurrentStack

WORD_SIZE = 24
STATE_SIZE = 12  # units per direction


class NewsEncoder(nn.Module):
    """A bidirectional GRU over the words of a day, whose last states are what the day's news say.

    Every text of a batch is encoded once, however many windows it stands in. A day without texts is
    a vector of zeros.

    Args:
        vocab_size: Words, that of padding among them.
        dropout: Share of whole words left out in training, 0 to below 1: texts are few, and an
            encoder that sees each word every time learns them by heart.
    """

    output_size = 2 * STATE_SIZE

    def __init__(self, vocab_size: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, WORD_SIZE, padding_idx=0)
        self.dropout = nn.Dropout1d(dropout)
        config = RecurrentConfig(cell="gru", hidden_size=STATE_SIZE, bidirectional=True)
        self.stack = RecurrentStack(WORD_SIZE, config)

    def forward(self, news: NewsBatch) -> Float[Tensor, "B L E"]:
        """Encode the texts and put each on its days.

        Args:
            news: The texts of a batch of windows.
        """
        words = self.dropout(self.embedding(news.tokens))  # (U, T, WORD_SIZE)
        outputs = self.stack(words, news.lengths)
        states = self.stack.last_state(outputs, news.lengths)  # (U, E)
        is_none = torch.arange(len(states), device=states.device) == 0
        return states.masked_fill(is_none.unsqueeze(1), 0.0)[news.day]
