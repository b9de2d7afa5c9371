# must trigger: only rank 0 starts with the same weights again
import torch


def start(rank, seed, build):
    if rank == 0:
        torch.manual_seed(seed)
    return build()
