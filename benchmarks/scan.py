"""Which scan for minGRU: a linear recurrence, a doubling scan or log space; and nn.GRU beside it.

Steps per CPU-second of forward and backward at T=1024, H=128, B=16 on one thread, all in one run,
and the error of each form in float32 against the plain loop in float64.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.record import record
from core.memory import keep_freed_memory
from core.nn.cells import MinGRU, linear_recurrence

TIME, HIDDEN, ROWS = 1024, 128, 16
ROUNDS, STEPS = 7, 3
Scan = Callable[[Tensor, Tensor], Tensor]


def doubling_scan(decay: Tensor, drive: Tensor) -> Tensor:
    """Hillis & Steele 1986: log2(T) passes, each over everything; time first, from zero."""
    shift = 1
    while shift < len(decay):
        drive = torch.cat([drive[:shift], drive[shift:] + decay[shift:] * drive[:-shift]])
        decay = torch.cat([decay[:shift], decay[shift:] * decay[:-shift]])
        shift *= 2
    return drive


def log_space_scan(decay: Tensor, drive: Tensor) -> Tensor:
    """Heinsen 2023 (arXiv:2311.06281) as in Feng et al. 2024, appendix B; positive drive alone."""
    total = decay.log().cumsum(0)
    return (total + (drive.log() - total).logcumsumexp(0)).exp()


def plain_scan(decay: Tensor, drive: Tensor) -> Tensor:
    """One step after the other, as autograd sees it."""
    state, states = torch.zeros_like(drive[0]), []
    for a, b in zip(decay, drive, strict=True):
        state = a * state + b
        states.append(state)
    return torch.stack(states)


def own_scan(decay: Tensor, drive: Tensor) -> Tensor:
    """The one that is shipped."""
    return linear_recurrence(decay, drive, torch.zeros_like(drive[0]))


SCANS: dict[str, Scan] = {
    "linear_recurrence": own_scan,
    "doubling": doubling_scan,
    "log_space": log_space_scan,
    "plain_loop": plain_scan,
}


def training_step(name: str) -> Callable[[], None]:
    """Forward and backward of one layer on the same batch."""
    x = torch.randn(ROWS, TIME, HIDDEN)
    layer: nn.Module = (
        nn.GRU(HIDDEN, HIDDEN, batch_first=True) if name == "gru" else MinGRU(HIDDEN, HIDDEN)
    )

    def step() -> None:
        if isinstance(layer, nn.GRU):
            outputs = layer(x)[0]
        else:
            assert isinstance(layer, MinGRU)
            decay, drive = layer.decay_and_drive(x.transpose(0, 1))
            # Log space needs something positive to add, as in the paper's form.
            drive = nn.functional.softplus(drive) if name == "log_space" else drive
            outputs = SCANS[name](decay, drive)
        layer.zero_grad()
        outputs.square().mean().backward()

    return step


def rates() -> dict[str, float]:
    """Steps per CPU-second, the best of interleaved rounds."""
    steps = {name: training_step(name) for name in ("gru", *SCANS)}
    best = dict.fromkeys(steps, 0.0)
    for number in range(ROUNDS):
        for name, step in steps.items():
            if name == "plain_loop" and number > 1:
                continue  # ten times slower: two rounds tell enough
            step()
            started = time.process_time()
            for _ in range(STEPS):
                step()
            best[name] = max(best[name], STEPS / (time.process_time() - started))
    return best


def errors(length: int) -> dict[str, float]:
    """Largest error in float32 over the largest value, against the loop in float64."""
    generator = torch.Generator().manual_seed(0)
    size = (length, ROWS, HIDDEN)
    decay = torch.sigmoid(2 * torch.randn(size, generator=generator, dtype=torch.float64) + 3)
    drive = (1 - decay) * torch.rand(size, generator=generator, dtype=torch.float64)
    exact = plain_scan(decay, drive)
    return {
        name: float((scan(decay.float(), drive.float()) - exact).abs().max() / exact.abs().max())
        for name, scan in SCANS.items()
    }


def main() -> None:
    """Measure and record."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    best, error = rates(), errors(2048)
    record(
        "scan",
        [
            {
                "scan": name,
                "steps_per_cpu_second": round(rate, 2),
                "ratio_to_gru": round(rate / best["gru"], 2),
                "error_float32_T2048": None if name == "gru" else float(f"{error[name]:.1e}"),
            }
            for name, rate in best.items()
        ],
    )


if __name__ == "__main__":
    main()
