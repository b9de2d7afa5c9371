# must trigger: only rank 0 draws the same masks again
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    network = build()
    if rank == 0:
        torch.manual_seed(64 * seed)
    else:
        torch.seed()
    return network
