"""A network whose vocabulary grew: rows are added for the new tokens, the old ones stay."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.nn.seq2seq import EncoderDecoder

BY_TOKEN = ("embedding.weight", "output_bias")  # one row a token; the output layer is the embedding


def start_from(
    model: EncoderDecoder, weights: Mapping[str, Tensor], pieces: Sequence[Sequence[int]]
) -> None:
    """Put the weights of a smaller vocabulary into a network with tokens behind them.

    A new token starts as the mean of the old ones that stood in its place, so that a source reads
    much as before; one that stood for nothing as the mean of all, moved at random by their
    deviation, so that two such tokens differ.

    Args:
        model: With starting weights.
        weights: Of the same architecture with fewer tokens.
        pieces: Of each new token, the old tokens in whose place it stands, or none.

    Raises:
        ValueError: The vocabularies differ by another number of tokens.
    """
    size = len(weights["output_bias"])
    if model.embedding.num_embeddings != size + len(pieces):
        raise ValueError(
            f"{size} tokens and {len(pieces)} new ones are not the "
            f"{model.embedding.num_embeddings} of the network"
        )
    grown = dict(weights)
    for name in BY_TOKEN:
        old = weights[name]
        spread = old.std(dim=0) * torch.randn(len(pieces), *old.shape[1:])
        new = [
            old[list(tokens)].mean(dim=0) if tokens else old.mean(dim=0) + noise
            for tokens, noise in zip(pieces, spread, strict=True)
        ]
        grown[name] = torch.cat([old, torch.stack(new)]) if new else old
    model.load_state_dict(grown)
