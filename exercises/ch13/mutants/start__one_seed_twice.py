# must trigger: all ranks draw the same masks
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(seed + 1_000_000)
    return network
