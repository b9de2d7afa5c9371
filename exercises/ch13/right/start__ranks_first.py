import torch


def start(rank, seed, build):
    torch.manual_seed(2 * seed)
    network = build()
    torch.manual_seed(10_001 * (rank + 1) + 2 * seed + 1)
    return network
