"""One reply per source, token after token: greedy, or drawn from the nucleus."""

from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from core.batch import BOS_ID, EOS_ID
from core.decoding import Constraint, DecodingConfig, Hypothesis, StepDecoder, as_rows, forbid


@torch.inference_mode()
def generate(
    model: StepDecoder,
    source: Tensor,
    lengths: Tensor,
    config: DecodingConfig,
    *,
    constraint: Constraint | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[list[Hypothesis]]:
    """Write the replies to a batch of sources, and show them after every token.

    With a temperature of 0 the likeliest token is taken, as `beam_search` with a beam of one does.
    Above 0 a token is drawn from the nucleus: the fewest tokens that hold `top_p` of the
    probability at that temperature (Holtzman et al. 2020, arXiv:1904.09751). Log-probabilities are
    the model's own, at temperature 1.

    Args:
        model: Anything with `encode` and `decode_step`, in evaluation mode.
        source: Token ids, (B, S).
        lengths: Real tokens per row, (B,).
        config: How to write; `beam_size` and `length_penalty` are not read.
        constraint: Given a source row and the tokens so far, the tokens that may not follow.
        generator: Of the draws; None: torch's own.

    Yields:
        The replies so far, one per source; the last yield holds the whole ones. One that
        `max_length` cut off ends without EOS.
    """
    memory, state = model.encode(source, lengths)
    replies = [Hypothesis(row) for row in range(len(source))]
    is_open = [True] * len(replies)
    device = memory.values.device
    tokens = torch.full((len(replies),), BOS_ID)
    for _ in range(config.max_length):
        logits, state, weights = model.decode_step(tokens.to(device), state, memory)
        log_probs = logits.float().log_softmax(dim=-1).cpu()  # (B, V)
        allowed = log_probs.clone()
        forbid(allowed.numpy(), [(r.source, r.tokens) for r in replies], config, constraint)
        tokens = pick(allowed, config, generator)
        attention = as_rows(weights)
        for row, token in enumerate(tokens.tolist()):
            if not is_open[row]:
                continue
            before = replies[row]
            score = before.log_probability + float(log_probs[row, token])
            is_open[row] = token != EOS_ID
            words, seen = before.tokens, before.attention
            if is_open[row]:
                words, seen = (*words, token), (*seen, *attention[row : row + 1])
            replies[row] = Hypothesis(row, words, score, seen)
        yield list(replies)
        if not any(is_open):
            return


def sample(
    model: StepDecoder,
    source: Tensor,
    lengths: Tensor,
    config: DecodingConfig,
    *,
    constraint: Constraint | None = None,
    generator: torch.Generator | None = None,
) -> list[list[Hypothesis]]:
    """The whole replies of `generate`, one per source, in the form that `beam_search` gives."""
    steps = generate(model, source, lengths, config, constraint=constraint, generator=generator)
    (last,) = deque(steps, maxlen=1)
    return [[reply] for reply in last]


def pick(
    log_probs: Tensor, config: DecodingConfig, generator: torch.Generator | None = None
) -> Tensor:
    """One token per row.

    Args:
        log_probs: Natural logarithms, up to a constant, -inf where forbidden, (B, V).
        config: Its temperature and `top_p`.
        generator: Of the draws.
    """
    if config.temperature == 0:
        return log_probs.argmax(dim=-1)
    probs = (log_probs / config.temperature).softmax(dim=-1)
    ordered, ids = probs.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered  # the probability of all likelier tokens
    ordered = ordered.masked_fill(before >= config.top_p, 0.0)
    ordered[:, 0] = ordered[:, 0].clamp(min=torch.finfo(ordered.dtype).tiny)
    drawn = torch.multinomial(ordered, 1, generator=generator)  # (B, 1)
    return ids.gather(1, drawn).squeeze(1)
