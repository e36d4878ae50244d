"""What the processes of one training tell each other while they train (Lightning's DDP)."""

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from core.processes import is_first_process


def share() -> tuple[int, int]:
    """This process's number and how many there are; 0 and 1 while none are connected."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def share_weight(count: int, device: torch.device) -> Tensor | float:
    """What to multiply a process's mean by, so that the mean over the processes is that of all.

    DDP averages the gradients of the processes; where one has fewer tokens than another, the mean
    of the means is not the mean over all tokens.

    Args:
        count: What the process's own mean is over, such as its real tokens.
        device: Of the loss.
    """
    _, size = share()
    if size == 1:
        return 1.0
    total = torch.tensor(float(count), device=device)
    dist.all_reduce(total)
    return count * size / total


def everyones(value: Any) -> list[Any]:
    """A plain value of each process, in their order; every process must call."""
    _, size = share()
    if size == 1:
        return [value]
    found: list[Any] = [None] * size
    dist.all_gather_object(found, value)
    return found


def is_asked_anywhere(is_asked: bool) -> bool:
    """Whether any process says yes; every process must call."""
    _, size = share()
    if size == 1:
        return is_asked
    answer = torch.tensor(int(is_asked))
    if dist.get_backend() == "nccl":
        answer = answer.cuda()
    dist.all_reduce(answer, dist.ReduceOp.MAX)
    return bool(answer)


def end_of_shared_work() -> None:
    """Let go of each other; every process but the first ends here."""
    _, size = share()
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()
    if not is_first_process():
        sys.exit(0)
