"""Data-parallel training on two processes of this machine, for the test of it: each rank stores what it saw."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from companion import Dropout

RANKS = 2


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 2000), Dropout(0.5), nn.Linear(2000, 1)).double()


def step(net: nn.Module, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One backward pass with the rank's own seed: the mask that fell and the gradient of the first weights."""
    seen = []
    layers = net.module if isinstance(net, DistributedDataParallel) else net
    hook = layers[1].register_forward_hook(lambda layer, inputs, output: seen.append(output.detach() != 0))
    torch.manual_seed(100 + rank)
    net(torch.ones(8, 20, dtype=torch.float64)).square().mean().backward()
    hook.remove()
    return seen[0], layers[0].weight.grad


def main(rank: int, folder: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    torch.save(step(DistributedDataParallel(network()), rank), folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
