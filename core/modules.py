"""The two LightningModules: they join a network, a loss and an optimiser."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from core.batch import ForecastBatch, Seq2SeqBatch
from core.metrics import pinball_loss
from core.nn.forecaster import Forecaster, ForecasterConfig
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig
from core.optim import OptimConfig, make_optimizer
from core.resuming import PlateauSchedule


class _Module(pl.LightningModule):
    """Optimiser and gradient-norm log, the same for both tasks."""

    def __init__(self, optim: OptimConfig) -> None:
        super().__init__()
        self.optim_config = optim

    def configure_optimizers(self) -> Any:
        """AdamW with the chosen schedule over the trainer's own number of steps."""
        total = int(self.trainer.estimated_stepping_batches)
        return make_optimizer(self, self.optim_config, max(total, 1))

    def configure_callbacks(self) -> list[pl.Callback]:
        """The schedule that follows the validation loss, where it was chosen."""
        return [PlateauSchedule()] if self.optim_config.schedule == "plateau" else []

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm, and log the norm that it had: both take the same pass over the weights."""
        limit = gradient_clip_val or float("inf")
        norm = nn.utils.clip_grad_norm_(self.parameters(), limit)
        self.log("grad_norm", norm)


class Seq2SeqModule(_Module):
    """Cross-entropy training of a `Seq2Seq`.

    Args:
        vocab_size: Tokens, PAD among them.
        model: The network's choices.
        optim: The optimiser's choices.
        label_smoothing: Share of the probability spread over all tokens (Szegedy et al. 2016,
            arXiv:1512.00567), 0 to below 1; in training only.
    """

    def __init__(
        self,
        vocab_size: int,
        model: Seq2SeqConfig,
        optim: OptimConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(optim)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1)")
        self.save_hyperparameters(
            {"vocab_size": vocab_size, "model": asdict(model), "label_smoothing": label_smoothing}
        )
        self.label_smoothing = label_smoothing
        self.model = Seq2Seq(vocab_size, model)

    def training_step(self, batch: Seq2SeqBatch, _: int) -> Tensor:
        """Mean cross-entropy per real target token, smoothed, in nats."""
        logits, target = self.model(batch)
        loss = nn.functional.cross_entropy(
            logits.float(), target, label_smoothing=self.label_smoothing
        )
        self.log("train_loss", loss, prog_bar=True, batch_size=len(target))
        return loss

    def validation_step(self, batch: Seq2SeqBatch, _: int) -> None:
        """Mean cross-entropy per real target token, in nats."""
        logits, target = self.model(batch)
        loss = nn.functional.cross_entropy(logits.float(), target)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(target))


class ForecastModule(_Module):
    """Pinball training of a `Forecaster`, in units of the trailing volatility.

    Args:
        input_size: Features per day.
        horizons: Trading days ahead, each at least 1.
        model: The network's choices.
        optim: The optimiser's choices.
        base_quantiles: The fan to start from, in units of the scale, (P, Q).
    """

    def __init__(
        self,
        input_size: int,
        horizons: Sequence[int],
        model: ForecasterConfig,
        optim: OptimConfig,
        base_quantiles: Tensor,
    ) -> None:
        super().__init__(optim)
        self.save_hyperparameters(
            {"input_size": input_size, "horizons": list(horizons), "model": asdict(model)}
        )
        self.model = Forecaster(input_size, horizons, model, base_quantiles)

    def _loss(self, batch: ForecastBatch) -> Tensor:
        quantiles = self.model(batch.inputs)  # (B, P, Q), in units of the scale
        target = batch.target / batch.scale  # (B, P)
        return pinball_loss(quantiles, target, self.model.levels)

    def training_step(self, batch: ForecastBatch, _: int) -> Tensor:
        """Mean pinball loss over horizons and levels."""
        loss = self._loss(batch)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch.inputs))
        return loss

    def validation_step(self, batch: ForecastBatch, _: int) -> None:
        """Mean pinball loss over horizons and levels."""
        self.log("val_loss", self._loss(batch), prog_bar=True, batch_size=len(batch.inputs))
