# must trigger: draw the same masks
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(1_000_000 + seed * rank)
    return network
