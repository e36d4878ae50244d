"""The LightningModules: they join a network, a loss and an optimiser."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from core.batch import ForecastBatch, Seq2SeqBatch, SequenceBatch
from core.clipping import Clipping, clip_gradients
from core.distributed import share_weight
from core.metrics import pinball_loss
from core.nn.forecaster import Forecaster, ForecasterConfig
from core.nn.recurrent import RecurrentConfig
from core.nn.regularization import l1_penalty, l2_penalty
from core.nn.seq2seq import Seq2SeqConfig
from core.nn.sequence import Reading, SequenceModel
from core.nn.transformer import make_seq2seq
from core.optim import OptimConfig, make_optimizer
from core.resuming import PlateauSchedule


class TaskModule(pl.LightningModule):
    """Optimiser, penalties, clipping and gradient-norm log, the same for every task.

    Attributes:
        optim_config: The optimiser's choices.
        clipping: Thresholds of gradient clipping; `core.training.fit` sets them.
        last_grad_norm: Norm of the last step's gradient before clipping, a scalar; NaN before the
            first step.
    """

    def __init__(self, optim: OptimConfig) -> None:
        super().__init__()
        self.optim_config = optim
        self.clipping = Clipping()
        self.last_grad_norm = torch.tensor(torch.nan)
        self.val_loss = MeanMetric()

    def configure_optimizers(self) -> Any:
        """The chosen optimiser and schedule over the trainer's own number of steps."""
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
        """Clip, and log the norm that the gradient had; Lightning calls this in every step.

        Raises:
            ValueError: The trainer has thresholds of its own, which would not be kept.
        """
        if gradient_clip_val is not None:
            raise ValueError(
                f"gradient_clip_val={gradient_clip_val} of the Trainer is not read; set the "
                "module's clipping instead, as core.training.fit does"
            )
        self.last_grad_norm = clip_gradients(
            self.parameters(),
            norm=self.clipping.norm,
            value=self.clipping.value,
            adaptive=self.clipping.adaptive,
        )
        self.log("grad_norm", self.last_grad_norm)

    def validated(self, loss: Tensor, count: int) -> None:
        """Log a batch's `val_loss`: its mean over everything that every process validates.

        Args:
            loss: Mean over the batch.
            count: What it is the mean over.
        """
        self.val_loss.update(loss, count)
        self.log("val_loss", self.val_loss, prog_bar=True)

    def penalized(self, loss: Tensor) -> Tensor:
        """The loss with the penalties that were chosen: what is minimised, but not logged."""
        config = self.optim_config
        if config.l1 > 0:
            loss = loss + config.l1 * l1_penalty(self)
        if config.l2 > 0:
            loss = loss + config.l2 * l2_penalty(self)
        return loss


class Seq2SeqModule(TaskModule):
    """Cross-entropy training of an encoder-decoder.

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
        self.model = make_seq2seq(vocab_size, model)

    def training_step(self, batch: Seq2SeqBatch, _: int) -> Tensor:
        """Mean cross-entropy per real target token, smoothed, in nats."""
        logits, target = self.model(batch)
        loss = nn.functional.cross_entropy(
            logits.float(), target, label_smoothing=self.label_smoothing
        )
        self.log("train_loss", loss, prog_bar=True, batch_size=len(target))
        return self.penalized(loss * share_weight(len(target), loss.device))

    def validation_step(self, batch: Seq2SeqBatch, _: int) -> None:
        """Mean cross-entropy per real target token, in nats."""
        logits, target = self.model(batch)
        self.validated(nn.functional.cross_entropy(logits.float(), target), len(target))


class ForecastModule(TaskModule):
    """Pinball training of a `Forecaster`, in units of the trailing volatility.

    Args:
        input_size: Features per day.
        horizons: Trading days ahead, each at least 1.
        model: The network's choices.
        optim: The optimiser's choices.
        base_quantiles: The fan to start from, in units of the scale, (P, Q).
        vocab_size: Words of the texts, as for `Forecaster`.
    """

    def __init__(
        self,
        input_size: int,
        horizons: Sequence[int],
        model: ForecasterConfig,
        optim: OptimConfig,
        base_quantiles: Tensor,
        *,
        vocab_size: int = 0,
    ) -> None:
        super().__init__(optim)
        self.save_hyperparameters(
            {
                "input_size": input_size,
                "horizons": list(horizons),
                "model": asdict(model),
                "vocab_size": vocab_size,
            }
        )
        self.model = Forecaster(input_size, horizons, model, base_quantiles, vocab_size=vocab_size)

    def training_step(self, batch: ForecastBatch, _: int) -> Tensor:
        """Mean pinball loss over members, horizons and levels: each member learns by itself."""
        quantiles = self.model.by_member(*batch.seen)  # (M, B, P, Q), in units of the scale
        loss = pinball_loss(quantiles, batch.target / batch.scale, self.model.levels)
        count = len(batch.inputs)
        self.log("train_loss", loss, prog_bar=True, batch_size=count)
        return self.penalized(loss * share_weight(count, loss.device))

    def validation_step(self, batch: ForecastBatch, _: int) -> None:
        """Mean pinball loss of the forecast over horizons and levels."""
        target = batch.target / batch.scale  # (B, P)
        loss = pinball_loss(self.model(*batch.seen), target, self.model.levels)
        self.validated(loss, len(batch.inputs))


class SequenceModule(TaskModule):
    """Training of a `SequenceModel` on a task that tests memory.

    Args:
        input_size: Features per step.
        output_size: Numbers or classes per answer.
        model: The stack's choices.
        optim: The optimiser's choices.
        loss: `mse`, or `cross_entropy` over classes.
        reading: What the answer is read from.
        label_smoothing: As for `Seq2SeqModule`.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        model: RecurrentConfig,
        optim: OptimConfig,
        *,
        loss: Literal["mse", "cross_entropy"],
        reading: Reading = "last",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(optim)
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.model = SequenceModel(input_size, output_size, model, reading)

    def training_step(self, batch: SequenceBatch, _: int) -> Tensor:
        """Mean loss over the answers."""
        loss = self._loss(batch, self.label_smoothing)
        return self.penalized(loss * share_weight(len(batch.inputs), loss.device))

    def validation_step(self, batch: SequenceBatch, _: int) -> None:
        """The loss, and the task's score."""
        self.validated(self._loss(batch), len(batch.inputs))
        self.log("val_score", self.score(batch), batch_size=len(batch.inputs), sync_dist=True)

    def score(self, batch: SequenceBatch) -> Tensor:
        """Share right where there is one class a row, else the loss."""
        if self.loss == "mse" or batch.target.ndim > 1:
            return self._loss(batch)
        return cast(Tensor, (self.model(batch.inputs).argmax(-1) == batch.target).float().mean())

    def _loss(self, batch: SequenceBatch, label_smoothing: float = 0.0) -> Tensor:
        answers = self.model(batch.inputs)
        if self.loss == "mse":
            return nn.functional.mse_loss(answers, batch.target)
        return nn.functional.cross_entropy(
            answers.flatten(0, -2), batch.target.flatten(), label_smoothing=label_smoothing
        )
